"""Where windows begin in later epochs is the same at any layout, and stays as a run began."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import MODEL, deepspeed
from helpers.launching import Ended, launch

from dslm.environment import World
from dslm.train import prepare

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def words(make_shards: Any) -> list[str]:
    """A set that 4 steps read once."""
    folder = make_shards(" ".join(f"{n} times {n} is {n * n}." for n in range(52)))
    more = ["schedule.kind=constant", "schedule.warmup_steps=2", "log_interval=1"]
    return ["tiny", *MODEL, *more, f"data.train={folder}", "evaluation_interval=1000"]


def begun_earlier(rank: int) -> None:
    """A run of a version of dslm that knew no shifts."""
    made = prepare._job
    prepare._job = lambda *given: dataclasses.replace(made(*given), shifted=False)


def train(folder: Path, words: list[str], steps: int, ranks: int = 1, stage: int = 0) -> Ended:
    ended = launch(folder, [*words, f"steps={steps}"], deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    return ended


def test_later_epochs_are_alike_at_another_layout_and_after_a_resume(
    words: list[str], tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", words, 12)
    assert train(tmp_path / "two", words, 12, 2, 2).metrics() == pytest.approx(
        whole.metrics(), rel=1e-5
    )
    train(tmp_path / "half", words, 6)
    assert train(tmp_path / "half", words, 12).metrics() == whole.metrics()


def test_a_run_begun_without_shifts_goes_on_without(words: list[str], tmp_path: Path) -> None:
    runs = {}
    for name, steps in (("whole", 10), ("half", 6)):
        given = [*words, f"steps={steps}"]
        runs[name] = launch(tmp_path / name, given, deepspeed(), 1, prepare=begun_earlier)
    shutil.copytree(tmp_path / "half", tmp_path / "kept")
    resumed = train(tmp_path / "half", words, 10)
    assert resumed.metrics() == runs["whole"].metrics()
    assert json.loads((resumed.folder / "run.json").read_text())["data"]["shifted"] is False
    today = train(tmp_path / "today", words, 10)
    assert today.metrics()[:4] == resumed.metrics()[:4]
    assert today.metrics()[4:] != resumed.metrics()[4:]


def test_a_checkpoint_that_does_not_say_is_of_a_run_without_shifts(
    words: list[str], tmp_path: Path
) -> None:
    train(tmp_path / "run", words, 3)
    state = tmp_path / "run/checkpoints/step-00000003/state.json"
    values = json.loads(state.read_text())
    assert values.pop("shifted") is True
    state.write_text(json.dumps(values))
    given = [*words, "steps=4", f"run={tmp_path / 'run'}"]
    job = prepare.prepare(given, None, str(tmp_path / "run.json"), World())
    assert job.shifted
    assert not job.resuming(3).shifted
