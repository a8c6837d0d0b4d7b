"""Histories of what was measured and written, in the folder of a run."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dslm.errors import ConfigError
from dslm.run.results import add_evaluation, add_sample, read_evaluations, read_samples

ONE: dict[str, Any] = {"step": 3, "scheme": "none", "fingerprint": "a", "loss": 2.0}


@pytest.mark.parametrize(
    ("again", "kept"),
    [
        ({"loss": 1.5}, [1.5]),
        ({"step": 6, "loss": 1.5}, [2.0, 1.5]),
        ({"scheme": "w4", "loss": 2.5}, [2.0, 2.5]),
        ({"group_size": 16, "loss": 2.5}, [2.0, 2.5]),
        ({"calibrate": "shards/c", "loss": 2.5}, [2.0, 2.5]),
        ({"fingerprint": "b", "loss": 2.5}, [2.0, 2.5]),
        ({"data": "./shards/the same", "loss": 1.5}, [1.5]),
    ],
)
def test_of_the_same_question_the_last_answer_counts(
    again: dict[str, Any], kept: list[float], tmp_path: Path
) -> None:
    add_evaluation(tmp_path, ONE)
    add_evaluation(tmp_path, {**ONE, **again})
    assert [one["loss"] for one in read_evaluations(tmp_path)] == kept


@pytest.mark.parametrize("text", ["a\u2028b\x85c\nd", "\ud800", '"}\n{', ""])
def test_a_text_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    add_sample(tmp_path, {"step": 3, "prompt": text, "text": text})
    add_sample(tmp_path, {"step": 3, "prompt": "another", "text": "more"})
    first, second = read_samples(tmp_path)
    assert (first["prompt"], first["text"], second["text"]) == (text, text, "more")


def test_commands_at_the_same_time_lose_nothing_of_each_other(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: add_evaluation(tmp_path, {**ONE, "step": n}), range(200)))
    assert sorted(one["step"] for one in read_evaluations(tmp_path)) == list(range(200))


def test_what_earlier_versions_wrote_is_read(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps({"loss": 2.5, "step": 3}))
    (tmp_path / "sample.txt").write_bytes(b"caf\xe9")
    add_evaluation(tmp_path, ONE)
    assert [one["loss"] for one in read_evaluations(tmp_path)] == [2.5, 2.0]
    assert [one["text"] for one in read_samples(tmp_path)] == ["caf\ufffd"]


def test_a_line_that_a_full_disk_cut_short_is_left_out(tmp_path: Path) -> None:
    add_evaluation(tmp_path, ONE)
    with (tmp_path / "evaluations.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')
    add_evaluation(tmp_path, {**ONE, "step": 6})
    assert [one["step"] for one in read_evaluations(tmp_path)] == [3, 6]


def test_a_broken_file_of_an_earlier_version_is_reported(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text("{")
    with pytest.raises(ConfigError, match=r"evaluation\.json, line 1, column 2: is not JSON"):
        read_evaluations(tmp_path)


def test_a_run_without_any_has_none(tmp_path: Path) -> None:
    assert read_evaluations(tmp_path) == read_samples(tmp_path) == []
