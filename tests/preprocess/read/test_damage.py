"""One damaged place costs one record at most, whatever the format; what is lost is counted."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from helpers.reading import Make, Read
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dslm.errors import DataError

WORDS = [
    "a,b",
    'say "so"',
    "line\nend",
    "tab\tbed",
    "ü語😀",
    "{x}",
    "[y], ",
    "c: d",
    "e\\f",
    "\r\n",
]
BYTES = [b'"', b"\n", b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\0", b"\xff", b"x", b" ", b"\t"]
PARTS = [
    *BYTES,
    b"\r",
    b'"text":',
    b'{"text":"a"}',
    b"\xef\xbb\xbf",
    b"\x1e",
    b"9" * 5000,
    b"[" * 70,
]

Written = tuple[str, Callable[[list[str]], str], dict[str, Any]]
"""The name of a file, how texts are written in it, and what a reader must be told."""


def records(texts: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": number, "text": text, "meta": {"tags": ["a", "b"], "in": [{"k": 1}, {"k": 2}]}}
        for number, text in enumerate(texts)
    ]


def joined(between: str, before: str = "", **layout: Any) -> Callable[[list[str]], str]:
    def write(texts: list[str]) -> str:
        return between.join(before + json.dumps(one, **layout) for one in records(texts)) + "\n"

    return write


def table(**dialect: Any) -> Callable[[list[str]], str]:
    def write(texts: list[str]) -> str:
        file = io.StringIO(newline="")
        rows = [["id", "text", "more"], *([n, text, "x, y"] for n, text in enumerate(texts))]
        csv.writer(file, **dialect).writerows(rows)
        return file.getvalue()

    return write


def tabbed(texts: list[str]) -> str:
    return "text\tid\n" + "".join(f"{text}\t{number}\n" for number, text in enumerate(texts))


FORMS: dict[str, Written] = {
    "lines": ("a.jsonl", joined("\n"), {}),
    "lines with commas": ("a.jsonl", joined(",\n"), {}),
    "lines with marks": ("a.jsonl", joined("\n", "\ufeff"), {}),
    "old Mac lines": ("a.jsonl", joined("\r"), {}),
    "text sequence": ("a.jsonl", joined("\n", "\x1e"), {}),
    "on one line": ("a.jsonl", joined(""), {}),
    "one behind the other": ("a.json", joined("\n", indent=2), {}),
    "list": ("a.json", lambda texts: json.dumps(records(texts)), {}),
    "compact list": ("a.json", lambda t: json.dumps(records(t), separators=(",", ":")), {}),
    "indented list": ("a.json", lambda texts: json.dumps(records(texts), indent=1), {}),
    "lists": (
        "a.json",
        lambda t: f"{json.dumps(records(t[:2]))}\n{json.dumps(records(t[2:]))}",
        {},
    ),
    "texts": ("a.json", lambda texts: json.dumps(texts), {"text_key": "[]"}),
    "lists of one": (
        "a.jsonl",
        lambda t: "\n".join(json.dumps([x]) for x in t),
        {"text_key": "[]"},
    ),
    "object": ("a.json", lambda t: json.dumps({"v": 1, "d": records(t)}), {"text_key": "d[].text"}),
    "CSV": ("a.csv", table(lineterminator="\n"), {}),
    "CSV of CRLF": ("a.csv", table(), {}),
    "quoted CSV": ("a.csv", table(quoting=csv.QUOTE_ALL, lineterminator="\n"), {}),
    "TSV": ("a.tsv", tabbed, {}),
}
SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)


@pytest.mark.parametrize("form", FORMS)
@SAME_FOLDER
@given(
    words=st.lists(st.lists(st.sampled_from(WORDS), max_size=3), min_size=4, max_size=7),
    place=st.floats(0, 1, exclude_max=True),
    taken=st.integers(0, 1),
    put=st.sampled_from([b"", *BYTES]),
    size=st.sampled_from([8, 100, 1 << 40]),
)
@example(words=[[]] * 4, place=0.0, taken=1, put=b"]", size=8)  # the list seems to be empty
def test_one_damaged_place_costs_one_record_at_most(
    make: Make,
    read: Read,
    form: str,
    words: list[list[str]],
    place: float,
    taken: int,
    put: bytes,
    size: int,
) -> None:
    name, write, choices = FORMS[form]
    texts = [f"doc {number} {' '.join(some)} end" for number, some in enumerate(words)]
    if form == "TSV":
        texts = [" ".join(text.split()) for text in texts]
    whole = write(texts).encode()
    first = whole.index(b"\n") + 1 if name.endswith("sv") else 0
    if form in ("object", "texts"):  # without the list, or with another name, a path leads nowhere
        first = whole.index(b"[") + 1
    at = first + int(place * (len(whole) - first))
    if name.endswith("sv") and taken and whole[at : at + 1] in b"\r\n":
        taken = 0  # without its end a row is one with the next: two places are damaged
    found = read(make(whole[:at] + put + whole[at + taken :], name), size, **choices)
    lost = Counter(texts) - Counter(found.texts)
    assert lost.total() <= 1
    assert len(found.texts) + len(found.rejected) >= len(texts)
    if not taken and not put:
        assert (found.texts, found.rejected) == (texts, [])


@pytest.mark.parametrize("where", range(5))
def test_a_list_that_ends_too_early_costs_one_record(make: Make, read: Read, where: int) -> None:
    texts = [f"doc {number}" for number in range(5)]
    whole = FORMS["object"][1](texts)
    begins = [match.start() for match in re.finditer(r'\{"id"', whole)]
    damaged = f"{whole[: begins[where]]}]{whole[begins[where] + 1 :]}"
    found = read(make(damaged.encode(), "a.json"), **FORMS["object"][2])
    assert found.texts == texts[:where] + texts[where + 1 :]
    assert len(found.rejected) == 1


@pytest.mark.parametrize("form", ["file", "stream"])
def test_arrow_that_ends_between_two_batches_is_cut_short(
    tmp_path: Path, read: Read, form: str
) -> None:
    path, batch = tmp_path / "table", pa.record_batch({"text": ["one", "two"]})
    new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    sizes = []
    with path.open("wb") as file, new(file, batch.schema) as writer:
        for _ in range(3):
            writer.write_batch(batch)
            sizes.append(file.tell())
    content = path.read_bytes()
    assert read(path).rejected == []
    for kept, size in enumerate(sizes, start=1):
        path.write_bytes(content[:size])
        found = read(path)
        assert (len(found.texts), found.reasons) == (2 * kept, ["cut short"])


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv", "a.tsv", "a"])
@SAME_FOLDER
@given(
    parts=st.lists(st.sampled_from(PARTS), max_size=30),
    key=st.sampled_from(["text", "[]", "d[].text", "[].text", "a.b", ""]),
    longest=st.sampled_from([16, 1 << 20]),
)
def test_no_bytes_at_all_end_the_process(
    make: Make, read: Read, name: str, parts: list[bytes], key: str, longest: int
) -> None:
    is_table = name.endswith("sv")
    path = make((b"text,id\ttext\n" if is_table else b"") + b"".join(parts), name)
    for size in (8, 1 << 40):
        try:
            found = read(path, size, text_key="text" if is_table else key, longest=longest)
        except DataError:  # one sentence
            continue
        for one in found.rejected:
            f"{one.reason}{one.detail}".encode()


@SAME_FOLDER
@given(
    form=st.sampled_from(["parquet", "file", "stream"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    cuts=st.booleans(),
)
def test_a_damaged_bit_of_a_column_is_noticed_or_costs_no_row(
    tmp_path: Path, read: Read, form: str, place: float, bit: int, cuts: bool
) -> None:
    data, path = pa.table({"text": [f"text {number}" for number in range(40)]}), tmp_path / "table"
    if form == "parquet":
        pyarrow.parquet.write_table(data, path, row_group_size=10)
    else:
        new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
        with new(path, data.schema) as writer:
            writer.write_table(data, max_chunksize=10)
    content = bytearray(path.read_bytes())
    at = 8 + int(place * (len(content) - 8))
    content[at] ^= 1 << bit
    path.write_bytes(content[:at] if cuts else content)
    try:
        found = read(path)
    except DataError:  # one sentence
        return
    assert len(found.texts) + len(found.rejected) >= 40 or "cut short" in found.reasons
