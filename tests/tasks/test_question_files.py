"""Files of questions: every layout gives the same windows, and what is no question is named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from helpers.questions import RECORDS, TEXT, how, lines, nested, write
from pyarrow import parquet

from dslm.errors import DataError
from dslm.shards.labels import labels_of, reference_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.example_set import example_set
from dslm.tasks.records import records
from dslm.tokenizers.tokenizer import Tokenizer


def columns(one: dict[str, Any]) -> dict[str, Any]:
    """A record as `datasets` has it."""
    answers = {key: [a[key] for a in one["answers"]] for key in ("text", "answer_start")}
    return {**one, "answers": answers}


def table(path: Path) -> Path:
    quoted = [
        ",".join(f'"{str(value).replace(chr(34), 2 * chr(34))}"' for value in row)
        for row in [[*RECORDS[0]]]
        + [[v if isinstance(v, str) else json.dumps(v) for v in r.values()] for r in RECORDS]
    ]
    path.write_text("\n".join(quoted))
    return path


def packed_file(path: Path) -> Path:
    path.write_bytes(gzip.compress(json.dumps(nested(RECORDS)).encode("utf-8-sig")))
    return path


def write_parquet(path: Path) -> Path:
    parquet.write_table(pa.Table.from_pylist([columns(one) for one in RECORDS]), path)
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "line.json": lambda path: write(path, json.dumps(nested(RECORDS))),
    "pretty.json": lambda path: write(path, json.dumps(nested(RECORDS), indent=2)),
    "last.json": lambda path: write(path, json.dumps(dict(reversed(nested(RECORDS).items())))),
    "a.json.gz": packed_file,
    "a.jsonl": lambda path: lines(path, RECORDS),
    "b.jsonl": lambda path: lines(path, [columns(one) for one in RECORDS]),
    "a.csv": table,
    "a.parquet": write_parquet,
}


def content(shards: ShardSet) -> list[Any]:
    numbers = range(shards.documents)
    return [(labels_of(shards, one).tolist(), reference_of(shards, one)) for one in numbers]


def test_every_kind_of_file_gives_the_same_windows(tmp_path: Path, questioned: Tokenizer) -> None:
    found = [
        content(example_set(make(tmp_path / name), tmp_path / f"{name}-set", how(questioned)))
        for name, make in FILES.items()
    ]
    assert len(found[0]) > len(RECORDS)
    assert all(one == found[0] for one in found)
    ids = [reference["id"] for _, reference in found[0] if "id" in reference]
    assert ids == [one["id"] for one in RECORDS]


def answer_at(start: Any) -> dict[str, Any]:
    return {**RECORDS[0], "id": "x", "answers": [{"text": "stone", "answer_start": start}]}


BAD: list[tuple[dict[str, Any], str]] = [
    ({**RECORDS[0]}, "is called like one before it"),
    ({**RECORDS[0], "id": None}, "has no id"),
    ({"id": "x", "context": TEXT, "answers": []}, "has no question"),
    ({**RECORDS[0], "id": "x", "context": " \n"}, "its context is empty"),
    ({**RECORDS[0], "id": "x", "context": "\u0301\x07"}, "its text has no tokens"),
    ({**RECORDS[0], "id": "x", "context": [TEXT]}, "its context is no text"),
    ({**RECORDS[0], "id": "x", "question": "z " * 40}, "its question is longer than"),
    ({**RECORDS[0], "id": "x", "answers": None}, "has no answers"),
    ({**RECORDS[0], "id": "x", "answers": []}, "has no answer, as only unanswerable=true allows"),
    ({**RECORDS[0], "id": "x", "answers": ["stone"]}, "no list of texts with answer_start"),
    ({**RECORDS[0], "id": "x", "answers": "[stone"}, "its answers are no JSON"),
    ({**RECORDS[0], "id": "x", "answers": {"text": ["a"], "answer_start": []}}, "no list of texts"),
    ({**RECORDS[0], "id": "x", "answers": [{"text": "", "answer_start": 0}]}, "has no text"),
    ({**RECORDS[0], "id": "x", "is_impossible": True}, "is impossible, but has an answer"),
    (answer_at(3), "its answer is not in the text at its answer_start"),
    (answer_at(len(TEXT) + 7), "its answer is not in the text at its answer_start"),
    (answer_at(-1), "has no answer_start"),
    (answer_at("4"), "has no answer_start"),
    (answer_at(4.0), "has no answer_start"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD, ids=[reason for _, reason in BAD])
def test_what_is_no_question_is_counted_and_named(
    bad: dict[str, Any], reason: str, tmp_path: Path, questioned: Tokenizer
) -> None:
    for name, text in (
        ("a.jsonl", "\n".join(map(json.dumps, [*RECORDS, bad]))),
        ("a.json", json.dumps(nested([*RECORDS, {"context": None, **bad}]))),
    ):
        path = write(tmp_path / name, text)
        made = example_set(path, tmp_path / f"{name}-set", how(questioned))
        statistics = made.manifest.statistics
        assert sum(statistics.left_out.values()) == 1
        called = f" ({bad['id']})" if bad["id"] else ""
        assert statistics.examples[0].startswith(f"{path}:5{called}: ")
        assert reason in statistics.examples[0]


@pytest.mark.parametrize(
    "broken",
    [
        {"paragraphs": None},
        "article",
        {"paragraphs": ["paragraph"]},
        {"paragraphs": [{"context": TEXT}]},
        {"paragraphs": [{"context": TEXT, "qas": ["question"]}]},
    ],
)
def test_a_broken_part_of_squad_costs_no_other_part(
    broken: Any, tmp_path: Path, questioned: Tokenizer
) -> None:
    whole = nested(RECORDS)
    whole["data"].insert(0, broken)
    made = example_set(
        write(tmp_path / "a.json", json.dumps(whole)), tmp_path / "set", how(questioned)
    )
    statistics = made.manifest.statistics
    assert statistics.broken == {"cannot be read": 1}
    assert sum("id" in reference for _, reference in content(made)) == len(RECORDS)


@pytest.mark.parametrize("indent", [None, 2])
def test_half_of_a_squad_file_is_one_clear_error(
    indent: int | None, tmp_path: Path, questioned: Tokenizer
) -> None:
    path = write(tmp_path / "a.json", json.dumps(nested(RECORDS), indent=indent)[:-20])
    with pytest.raises(DataError, match=r"a.json: begins like questions of SQuAD, but is no JSON"):
        example_set(path, tmp_path / "set", how(questioned))


def test_what_follows_questions_in_the_layout_of_squad_is_not_left_out(
    tmp_path: Path,
) -> None:
    line = json.dumps(nested(RECORDS))
    assert [*records(write(tmp_path / "one.json", f"{line}\n\n"))]
    with pytest.raises(DataError, match="holds more behind questions in SQuAD's layout"):
        [*records(write(tmp_path / "two.json", f"{line}\n{line}\n"))]


def test_a_field_of_a_table_is_of_any_length(tmp_path: Path) -> None:
    text = "long " * 40_000
    found = [*records(write(tmp_path / "a.csv", f"text,label\n{text},yes\nshort,no\n"))]
    assert [one and one["text"] for _, one in found] == [text, "short"]
