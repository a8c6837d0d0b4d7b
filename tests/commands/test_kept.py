"""What ``evaluate`` and ``generate`` find is kept in the run, for its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.untrained import untrained_run

from dslm.commands import evaluate, generate
from dslm.commands.cli import run
from dslm.commands.kept import keep
from dslm.report import write_report
from dslm.report.page import watch_of
from dslm.run.folder import RunFolder
from dslm.run.results import add_evaluation, read_evaluations, read_samples


@pytest.fixture
def folder(tmp_path: Path, shard_set: Path, deepspeed_file: Path) -> Path:
    made = untrained_run(tmp_path / "run", shard_set, deepspeed_file)
    line = {"step": 7, "tokens": 1344, "loss": 2.5, "seconds": 1.0}
    RunFolder(made).metrics.write_text(json.dumps(line))
    return made


def test_an_evaluation_is_kept_with_its_set_step_and_rounding(
    folder: Path, shard_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder), "--data", str(shard_set), "--json"]
    assert run(evaluate.main, words) == run(evaluate.main, [*words, "--scheme", "w8a8"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = read_evaluations(folder)
    assert [one["scheme"] for one in found] == ["none", "w8a8"]
    assert [{key: one[key] for key in printed[0]} for one in found] == printed


def test_a_sample_is_kept_with_its_prompt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(folder), "--prompt", "1 plus", "--max-new-tokens", "5", "--top-k", "3"]
    assert run(generate.main, words) == 0
    (found,) = read_samples(folder)
    assert capsys.readouterr().out == f"{found['text']}\n"
    assert (found["prompt"], found["step"], found["top_k"]) == ("1 plus", 7, 3)


def test_a_report_that_is_there_is_written_anew_and_none_is_made(
    folder: Path, shard_set: Path
) -> None:
    words = [str(folder), "--data", str(shard_set)]
    assert run(evaluate.main, words) == 0
    page = RunFolder(folder).report
    assert not page.exists()
    page.write_text("old")
    assert run(evaluate.main, words) == 0
    assert f"{read_evaluations(folder)[0]['loss']:.4f}" in page.read_text()


@pytest.mark.parametrize("watch", [0, 5])
def test_a_report_that_is_watched_stays_so(watch: int, folder: Path) -> None:
    page = write_report(folder, watch=watch)
    found = {"fingerprint": "e", "data": "data-watch=", "loss": 2.25, "step": 7}
    keep(folder, add_evaluation, found)
    assert "2.2500" in page.read_text()
    assert watch_of(page) == watch


@pytest.mark.parametrize("blocked", ["samples.jsonl", "report.html"])
def test_a_folder_that_cannot_be_written_costs_a_warning(
    blocked: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / blocked).mkdir()
    assert run(generate.main, [str(folder), "--prompt", "1 plus", "--max-new-tokens", "5"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("1 plus")
    said = "warning: the result is not kept for the report: "
    assert said in printed.err
    assert f"{blocked}: cannot be written: Is a directory" in printed.err
