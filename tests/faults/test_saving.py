"""Checkpoints are written while the training goes on, and a failure does not end it at once."""

from __future__ import annotations

import errno
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

from dslm.run.checkpoint import checkpoints, verify
from dslm.run.folder import RunFolder

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def saving(words: list[str]) -> list[str]:
    more = ["steps=8", "checkpoint_interval=2", "log_interval=1", "keep=9"]
    return [*words, *more, "schedule.warmup_steps=0"]


def full_disk(steps: range, where: int, rank: int) -> None:
    """Let one rank's writing of the checkpoints of some steps fail."""
    from dslm.run.checkpoint_writer import Writer

    right = Writer.write

    def write(writer: Writer, name: str, tensors: Any) -> tuple[int, str]:
        if rank == where and int(writer.final.name.removeprefix("step-")) in steps:
            raise OSError(errno.ENOSPC, "No space left on device")
        return right(writer, name, tensors)

    Writer.write = write  # type: ignore[method-assign]


def written_late(rank: int) -> None:
    """Write no file before the next step border, as on a slow disk: until the run waits for it."""
    from threading import Event

    from dslm.run.checkpoint_writer import Writer
    from dslm.train.checkpointer import Checkpointer

    right, finish, waited_for = Writer.write, Checkpointer.finish, Event()

    def write(writer: Writer, name: str, tensors: Any) -> tuple[int, str]:
        waited_for.wait(60)
        return right(writer, name, tensors)

    def waiting(checkpointer: Checkpointer, is_last: bool = False) -> None:
        waited_for.set()
        finish(checkpointer, is_last)
        waited_for.clear()

    Writer.write, Checkpointer.finish = write, waiting  # type: ignore[method-assign]


def rising(losses: list[float], rank: int) -> None:
    """Let the measurements give these validation losses."""
    from dslm.train import held_out

    right, values = held_out.Measured, iter(losses)
    held_out.Measured = lambda _, *rows: right(next(values), *rows)  # type: ignore[misc,assignment]


def steps_in(folder: Path) -> list[int]:
    found = checkpoints(folder / "checkpoints")
    assert all(not verify(path) for _, path in found)
    assert not list((folder / "checkpoints").glob(".*"))
    return [step for step, _ in found]


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_what_is_written_late_is_what_was_copied(
    stage: int, saving: list[str], tmp_path: Path
) -> None:
    config = deepspeed(stage)
    late = launch(tmp_path / "late", saving, config, 2, prepare=written_late)
    early = launch(tmp_path / "early", saving, config, 2)
    assert late.code == early.code == 0, late.messages
    assert steps_in(late.folder) == steps_in(early.folder) == [8, 6, 4, 2]
    for step, folder in checkpoints(late.folder / "checkpoints"):
        layout = json.loads((folder / "manifest.json").read_text())["layout"]
        assert (layout["world"], layout["zero_stage"], layout["micro_batch"]) == (2, stage, 2)
        other = early.folder / "checkpoints" / folder.name
        for file in folder.glob("layer-*"):
            assert file.read_bytes() == (other / file.name).read_bytes(), (step, file.name)


@pytest.mark.parametrize("where", [0, 1])
def test_a_disk_that_is_full_once_costs_one_checkpoint(
    where: int, saving: list[str], tmp_path: Path
) -> None:
    prepare = partial(full_disk, range(4, 5), where)
    ended = launch(tmp_path / "run", saving, deepspeed(2), 2, prepare=prepare)
    assert ended.code == 0, ended.messages
    assert "the checkpoint of step 4 could not be written" in ended.messages
    [failed] = RunFolder(ended.folder).read()["failed_saves"]
    assert (failed["step"], "No space left on device" in failed["reason"]) == (4, True)
    assert ended.metrics("failed_saves") in ([1, 1], [1, 1, 1]), "known one or two steps later"
    assert "could not be written" in (ended.folder / "report.html").read_text()
    assert steps_in(ended.folder) == [8, 6, 2]


def test_a_disk_that_stays_full_ends_the_run_and_a_rerun_goes_on(
    saving: list[str], tmp_path: Path
) -> None:
    prepare = partial(full_disk, range(3, 99), 1)
    config = deepspeed(2)
    words = [*saving, "save_failures=2"]
    ended = launch(tmp_path / "run", words, config, 2, prepare=prepare)
    assert ended.code == 1
    assert "step 6 could not be written" in ended.messages
    assert "(2 in a row)" in ended.messages
    assert steps_in(ended.folder) == [2]
    (ended.folder / "checkpoints" / ".step-00000006.partial").mkdir()
    shutil.copytree(ended.folder, tmp_path / "again")
    again = launch(tmp_path / "again", words, config, 2)
    assert again.code == 0, again.messages
    assert steps_in(again.folder) == [8, 6, 4, 2]


def test_the_last_checkpoint_cannot_be_left_out(saving: list[str], tmp_path: Path) -> None:
    prepare = partial(full_disk, range(8, 9), 0)
    ended = launch(tmp_path / "run", saving, deepspeed(2), 2, prepare=prepare)
    assert ended.code == 1
    assert "free some space and run the same command again" in ended.messages
    assert steps_in(ended.folder) == [6, 4, 2]


def test_the_best_stays_beside_the_newest_whatever_else_of_the_run_is_lost(
    saving: list[str], shards: Path, tmp_path: Path
) -> None:
    words = [word for word in saving if not word.startswith(("evaluation_interval", "keep", "st"))]
    words += [f"data.validation={shards}", "data.validation_windows=8", "evaluation_interval=4"]
    first = partial(rising, [3.0, 4.0])
    ended = launch(tmp_path / "run", [*words, "keep=1", "steps=8"], deepspeed(2), 2, prepare=first)
    assert ended.code == 0, ended.messages
    assert "the newest 1 and the best kept" in ended.messages
    assert "the best checkpoint is chosen from those of every 4 steps" in ended.messages
    assert steps_in(ended.folder) == [8, 4]
    for name in ("run.json", "metrics.jsonl"):
        (ended.folder / name).unlink()
    then = partial(rising, [5.0, 6.0])
    ended = launch(tmp_path / "run", [*words, "keep=1", "steps=14"], deepspeed(2), 2, prepare=then)
    assert ended.code == 0, ended.messages
    assert steps_in(ended.folder) == [14, 4]
