"""Faults of the system, and a kill, in the real saves of two ranks, written behind the training."""

from __future__ import annotations

import errno
import json
import os
import signal
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch
from helpers.os_faults import Calls, watched

from dslm.run.checkpoint import newest_good, verify

pytestmark = pytest.mark.ranks

POSITIONS = range(0, 42, 3)
"""Calls of a save that fail in turns, on each of two ranks; every second save has no fault."""
WATCHED: list[Any] = []
"""What looks at a rank's calls until it ends."""


@pytest.fixture(scope="module")
def saving(words: list[str]) -> list[str]:
    return [*words, "log_interval=1", "schedule.kind=constant", "schedule.warmup_steps=0"]


def failing_in_turns(report: Path, rank: int) -> None:
    """Let one call of every second save fail on one rank, and write down what is there then."""
    from dslm.train.checkpointer import Checkpointer

    save, finish, now = Checkpointer.save, Checkpointer.finish, [0]

    def act(call: int) -> None:
        which, is_good = divmod(now[0], 2)
        if not is_good and (which % 2, 3 * (which // 2)) == (rank, call):
            number = [errno.ENOSPC, errno.EIO, errno.EROFS][call % 3]
            raise OSError(number, os.strerror(number))

    def saving(checkpointer: Checkpointer, step: int, *given: Any) -> None:
        checkpointer.finish()
        calls.made.clear()
        calls.folder, now[0] = checkpointer.root, step
        save(checkpointer, step, *given)

    def finished(checkpointer: Checkpointer, is_last: bool = False) -> None:
        waited = checkpointer._pending is not None
        finish(checkpointer, is_last)
        if waited and rank == 0:
            newest, problems = newest_good(checkpointer.root, verify)
            failed = checkpointer.failures > 0
            with report.open("a") as file:
                file.write(json.dumps([now[0], failed, newest, list(map(str, problems))]) + "\n")

    calls = Calls(report / "nothing yet", act)
    WATCHED.append(watched(calls))
    WATCHED[0].__enter__()
    Checkpointer.save, Checkpointer.finish = saving, finished  # type: ignore[method-assign]


def test_a_fault_at_any_call_on_either_rank_costs_one_checkpoint_at_most(
    saving: list[str], tmp_path: Path
) -> None:
    steps = 4 * len(POSITIONS) + 1
    more = [f"steps={steps}", "checkpoint_interval=1", "keep=1", "save_failures=2"]
    report = tmp_path / "report"
    prepare = partial(failing_in_turns, report)
    ended = launch(tmp_path / "run", [*saving, *more], deepspeed(1), 2, prepare=prepare)
    assert ended.code == 0, ended.messages
    saves = [json.loads(line) for line in report.read_text().splitlines()]
    assert [step for step, *_ in saves] == list(range(1, steps + 1))
    for step, failed, newest, problems in saves:
        assert problems == [], step
        assert newest == step or (failed and newest == step - 1)
    faults = {rank: [s for s in saves if s[1] and s[0] // 2 % 2 == rank] for rank in (0, 1)}
    assert all(step % 2 == 0 for step, failed, *_ in saves if failed)
    assert len(faults[0]) > 10
    assert len(faults[1]) > 4


def killed_behind_the_training(rank: int) -> None:
    """Kill the second rank while it writes the checkpoint of step 4 and the loop is at step 6."""
    from dslm.run.checkpoint_writer import Writer
    from dslm.train.loop import Loop

    write, train_step, is_far = Writer.write, Loop.train_step, Event()

    def killed(writer: Writer, name: str, tensors: Any) -> tuple[int, str]:
        if rank == 1 and writer.final.name == "step-00000004" and "optimizer" in name:
            is_far.wait(60)
            os.kill(os.getpid(), signal.SIGKILL)
        return write(writer, name, tensors)

    def stepping(loop: Loop) -> Any:
        if loop.position.step == 5:
            is_far.set()
        return train_step(loop)

    Writer.write, Loop.train_step = killed, stepping  # type: ignore[method-assign]


def test_a_kill_while_the_training_goes_on_leaves_the_checkpoint_before(
    saving: list[str], tmp_path: Path
) -> None:
    words, config = [*saving, "steps=8", "checkpoint_interval=2"], deepspeed(3)
    whole = launch(tmp_path / "whole", words, config, 2)
    run = tmp_path / "run"
    killed = launch(run, words, config, 2, prepare=killed_behind_the_training)
    assert killed.code == -signal.SIGKILL
    assert len(killed.metrics()) == 5, "training went on behind the save"
    assert newest_good(run / "checkpoints", verify) == (2, [])
    assert (run / "checkpoints" / ".step-00000004.partial").is_dir()
    again = launch(run, words, config, 2)
    assert again.code == 0, again.messages
    assert "from step 2\n" in again.messages
    assert again.metrics() == whole.metrics()
    assert not list((run / "checkpoints").glob(".*"))
