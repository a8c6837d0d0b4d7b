"""A value of another type in a run's files is left out, or reported in one sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import report, status
from dslm.commands.cli import run
from dslm.environment import World
from dslm.report.index import row
from dslm.report.summary import UNREADABLE, read_summary
from dslm.train.prepare import prepare
from dslm.train.record import RunRecord

OTHERS = ("x", None, [1, "x"], {"x": True}, 10**400)
"""Most places hold a value of another type than most of these."""
RESULT: dict[str, Any] = {
    "step": 2,
    "scheme": "w4",
    "group_size": 16,
    "calibrate": None,
    "data": "shards/test",
}
ANSWERS = {
    **{"records": 9, "wrong": 1, "confusion": {"classes": ["a", "b"], "rows": [[4, 1], [0, 4]]}},
    **{"kinds": [["PER", 1.0, 0.5, 0.7, 2]], "amounts": [[0.5, 1.5], [2.0, 1.0]]},
    "errors": [{"text": "The end.", "right": "a", "predicted": "b", "loss": 2.5}],
}
EVALUATION = {**RESULT, "fingerprint": "d6", "loss": 2.5, "perplexity": 12.0, "tokens": 100}
EVALUATION["answers"] = ANSWERS
ASKED = {"prompt": "The", "temperature": 0.8, "top_k": 50, "seed": 1, "max_new_tokens": 2}
MODEL = {"run": "a", "step": 2, "loss": 2.5, "perplexity": 12.0, "map_bytes": 9, "bytes": 12}
QUANTIZATION = {
    **{"scheme": "w4", "data": "shards/test", "sensitivity_rows": 4, "sensitivity": {"2.in": 0.5}},
    "models": [{"kind": kind, "tokens_per_second": 9.5, **MODEL} for kind in ("float", "nearest")],
}


def damaged(whole: Any) -> Iterator[Any]:
    """The whole with another value at one place: every place, and every other value there."""
    for path in places(whole):
        for other in OTHERS:
            made = copy.deepcopy(whole)
            node = made
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = other
            yield made


def places(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value; of a list to its first ones, as the others are alike."""
    named = node.items() if isinstance(node, dict) else ()
    for key, below in enumerate(node[:2]) if isinstance(node, list) else named:
        yield (*above, key)
        yield from places(below, (*above, key))


@pytest.fixture
def folder(
    make_run: RunMaker, training: LineMaker, shard_set: Path, deepspeed_file: Path, tmp_path: Path
) -> Path:
    """A run with all files that a report reads; its ``run.json`` is a real one."""
    words = ["tiny", "steps=2", f"data.train={shard_set}", f"run={tmp_path / 'run'}"]
    words.append(f"data.validation={shard_set}")
    job = prepare(words, None, str(deepspeed_file), World())
    record = RunRecord(job, World(), words)
    record.status, record.failed_saves = "running", [{"step": 1, "reason": "disk full"}]
    record.heartbeat = {"time": "2026-11-30T06:09:37+00:00", "step": 2, "phase": "training"}
    lines = [training(1, 3.0, mfu=0.2), training(2, 2.0, memory_gib=0.5, skipped_steps=1)]
    lines.append({"step": 2, "tokens": 1024, "validation_loss": 2.5})
    files = {
        "evaluation.json": json.dumps({**EVALUATION, "fingerprint": "e5"}),
        "evaluations.jsonl": json.dumps(EVALUATION),
        "samples.jsonl": json.dumps({**RESULT, **ASKED, "text": "The end."}),
        "quantization.json": json.dumps(QUANTIZATION),
    }
    return make_run(lines, files, **record.content())


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that the run is shown, or that it is said in a line or two what is wrong."""
    for command in (report, status):
        code, said = run(command.main, [str(folder)]), capsys.readouterr()
        assert (code, said.err == "") in ((0, True), (2, False))
        assert all(line.startswith("error: ") for line in said.err.splitlines())
    assert row(read_summary(folder), folder.parent)


def test_a_run_whose_files_are_right_is_shown_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(report.main, [str(folder)]) == 0
    page = (folder / "report.html").read_text()
    for part in ("disk full", "The end.", "shards/test", "rounded after training"):
        assert part in page
    assert read_summary(folder).standing.word != UNREADABLE


@pytest.mark.parametrize("name", ["run.json", "evaluation.json", "quantization.json"])
def test_no_value_of_a_file_makes_a_traceback(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for values in damaged(json.loads((folder / name).read_text())):
        (folder / name).write_text(json.dumps(values))
        shown(folder, capsys)


@pytest.mark.parametrize("name", ["metrics.jsonl", "evaluations.jsonl", "samples.jsonl"])
def test_no_value_of_a_line_makes_a_traceback(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for lines in damaged([json.loads(line) for line in (folder / name).read_text().splitlines()]):
        (folder / name).write_text("\n".join(map(json.dumps, lines)))
        shown(folder, capsys)


def test_a_value_of_another_type_is_left_out_and_a_line_with_one_is_counted(
    folder: Path,
) -> None:
    record = json.loads((folder / "run.json").read_text())
    record["plan"]["parameters"] = "x"
    (folder / "run.json").write_text(json.dumps(record))
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('\n{"step": 3, "loss": "x"}')
    found = read_summary(folder)
    assert (found.parameters, found.step) == (None, 2)
    assert found.record is not None
    assert found.record.log.unreadable == 1
