"""The record of steps that were left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.run.bad_steps import SkippedSamples, SkippedSteps, read_skipped

STEPS = [SkippedSamples(step, 16 * (step - 1), 16, "the loss is nan") for step in (3, 5, 8)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "skipped.jsonl"


def test_what_is_written_down_is_read_back(path: Path) -> None:
    skipped = SkippedSteps(path, 0)
    assert not path.exists()
    for one in STEPS:
        skipped.add(one)
    assert read_skipped(path) == STEPS
    assert skipped.count == 3


def test_a_run_that_goes_on_forgets_the_steps_that_it_makes_again(path: Path) -> None:
    for one in STEPS:
        SkippedSteps(path, 9).add(one)
    resumed = SkippedSteps(path, 5)
    assert read_skipped(path) == STEPS[:2]
    assert resumed.count == 2


def test_a_line_cut_by_a_kill_is_passed_over(path: Path) -> None:
    for one in STEPS:
        SkippedSteps(path, 9).add(one)
    path.write_text(path.read_text()[:-20])
    assert read_skipped(path) == STEPS[:2]
