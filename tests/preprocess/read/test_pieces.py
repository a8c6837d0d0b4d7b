from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from datasets import Dataset
from helpers.reading import Make, Read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig

SAME_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150
)
FRAGMENTS = [
    "a",
    "bc ",
    "ä",
    "語",
    "😀",
    " ",
    "\n",
    "\r\n",
    "\n\n",
    "\n \t\n",
    "\r\n\r\n",
    "\n\n\n\n",
]
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join)
marks = st.sampled_from([b"", b"\xef\xbb\xbf"])
sizes = st.integers(min_value=1, max_value=12)


def blocks(text: str) -> list[str]:
    """What is between lines of white space, by a parser of its own."""
    found, block = [], []
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        if line.strip():
            block.append(line)
        elif block:
            found.append("\n".join(block).rstrip())
            block = []
    return found


@SAME_FOLDER
@given(text=texts, mark=marks, size=sizes)
def test_blocks_are_the_same_for_any_size_of_a_piece(
    make: Make, read: Read, text: str, mark: bytes, size: int
) -> None:
    path = make(mark + text.encode())
    whole = read(path, documents="block")
    assert whole.texts == blocks(text)
    assert read(path, size, documents="block").documents == whole.documents


@SAME_FOLDER
@given(text=texts, mark=marks, size=sizes)
def test_lines_are_the_same_for_any_size_of_a_piece(
    make: Make, read: Read, text: str, mark: bytes, size: int
) -> None:
    path = make(mark + text.encode())
    whole, cut = read(path, documents="line"), read(path, size, documents="line")
    assert whole.texts == [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    assert (cut.documents, cut.rejected) == (whole.documents, whole.rejected)
    content = path.read_bytes()
    for document in whole.documents:
        assert content[document.offset :].startswith(document.text.encode())


@SAME_FOLDER
@given(
    lines=st.lists(st.sampled_from(['{"text": "ä語"}', '{"text": ', "", '{"text": "b"}\r', "5"])),
    end=st.sampled_from(["", "\n"]),
    mark=marks,
    size=sizes,
)
def test_json_lines_are_the_same_for_any_size_of_a_piece(
    make: Make, read: Read, lines: list[str], end: str, mark: bytes, size: int
) -> None:
    path = make(mark + ("\n".join(lines) + end).encode(), "a.jsonl")
    whole, cut = read(path), read(path, size)
    assert (cut.documents, cut.rejected) == (whole.documents, whole.rejected)
    assert len(whole.documents) == sum("}" in line for line in lines)


@SAME_FOLDER
@given(text=texts, size=sizes, longest=st.integers(16, 24))
def test_cut_documents_are_the_same_for_any_size_of_a_piece(
    make: Make, read: Read, text: str, size: int, longest: int
) -> None:
    path = make(text * 3)
    for mode in ("line", "block"):
        whole = read(path, documents=mode, longest=longest)
        assert all(len(document) <= longest for document in whole.texts)
        assert read(path, size, documents=mode, longest=longest).documents == whole.documents


@pytest.mark.parametrize("form", ["parquet", "arrow", "dataset"])
def test_tables_are_cut_between_groups_of_rows(tmp_path: Path, read: Read, form: str) -> None:
    table = pa.table({"id": range(100), "text": [f"number {n}" for n in range(100)]})
    path = tmp_path / form
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=7)
    elif form == "arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    else:
        Dataset(table).save_to_disk(path, num_shards=15)
    found = pieces([path], ReadingConfig(), text_bytes(path) // 5)
    assert 4 <= len(found) <= 6
    assert all(before.end == after.start for before, after in pairwise(found))
    cut = read(path, text_bytes(path) // 5)
    assert cut.texts == table["text"].to_pylist()
    assert [document.offset for document in cut.documents] == list(range(100))


@pytest.mark.parametrize("size", [1, 10, 1000, 1 << 40])
def test_the_bytes_of_pieces_and_the_progress_add_up_to_the_estimate(
    tmp_path: Path, read: Read, size: int
) -> None:
    records = "".join(json.dumps({"text": f"line {n}"}) + "\n" for n in range(50)).encode()
    pyarrow.parquet.write_table(pa.table({"text": ["a"] * 50}), tmp_path / "a", row_group_size=9)
    Dataset.from_dict({"text": ["a"] * 50}).save_to_disk(tmp_path / "b")
    (tmp_path / "c").write_bytes(records)
    (tmp_path / "d").write_bytes(gzip.compress(records))
    (tmp_path / "e").write_bytes(b"")
    for path in tmp_path.iterdir():
        found = pieces([path], ReadingConfig(), size)
        assert sum(piece.text_bytes for piece in found) == text_bytes(path)
        assert read(path, size).reported == text_bytes(path)


def test_what_cannot_be_sought_in_is_one_piece(tmp_path: Path, make: Make) -> None:
    line = b'{"text": "a"}\n'
    paths = [
        make(gzip.compress(line * 100), "packed"),
        make((line * 100).decode().encode("utf-16"), "wide"),
        make(b"words\n" * 100, "whole"),
        make(b"[" + line, "document"),
        make(b"text\nwords\n", "table.csv"),
    ]
    assert [
        (piece.input, piece.start, piece.end) for piece in pieces(paths, ReadingConfig(), 8)
    ] == [(number, 0, None) for number in range(5)]
