"""Parts of a run's folder, or all of it, are removed while the run trains: it goes on."""

from __future__ import annotations

import json
import os
import random
import shutil
from functools import partial
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

from dslm.run.checkpoint import checkpoints, verify

pytestmark = pytest.mark.ranks

PARTS = ("", "checkpoints", ".ranks", "tokenizer", "metrics.jsonl", ".lock", "logs", "run.json")
"""What is removed: all of the folder, or one of these in it."""
CUT = "run.json, half of it"
STEPS = 24
QUIET = 6
"""Last steps in which nothing is removed."""


def remove(folder: Path, part: str) -> None:
    path = folder / part
    if part == CUT:
        record = folder / "run.json"
        content = record.read_bytes() if record.exists() else b""
        record.parent.mkdir(exist_ok=True)
        record.write_bytes(content[: len(content) // 2])
    elif path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def removed(seed: int, where: int, killed_at: int | None, rank: int) -> None:
    """Let a rank remove some parts before every second step, and be killed at one."""
    from dslm.train.loop import Loop

    draw, right = random.Random(seed), Loop.train_step

    def train_step(loop: Loop) -> object:
        coming = loop.position.step + 1
        if rank == where and coming == killed_at:
            os._exit(9)
        if rank == where and coming % 2 and 1 < coming < STEPS - QUIET:
            for part in draw.sample([*PARTS, CUT], draw.randint(1, 3)):
                remove(loop.job.folder.path, part)
        return right(loop)

    Loop.train_step = train_step  # type: ignore[method-assign,assignment]


@pytest.fixture(scope="module")
def removing(words: list[str]) -> list[str]:
    more = ["checkpoint_interval=2", "log_interval=1", "keep=2", "save_failures=99"]
    return [*words, *more, "schedule.kind=constant", "schedule.warmup_steps=3"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, removing: list[str]) -> list[float]:
    """The losses of a run in peace."""
    folder = tmp_path_factory.mktemp("removed") / "whole"
    ended = launch(folder, [*removing, f"steps={STEPS + 4}"], deepspeed(1), 2)
    assert ended.code == 0, ended.messages
    return ended.metrics()


@pytest.mark.parametrize(("seed", "where", "killed_at"), [(2, 1, None), (3, 0, 11)])
def test_the_run_goes_on_and_so_does_a_later_start(
    seed: int,
    where: int,
    killed_at: int | None,
    removing: list[str],
    whole: list[float],
    tmp_path: Path,
) -> None:
    prepare = partial(removed, seed, where, killed_at)
    run, words = tmp_path / "run", [*removing, f"steps={STEPS}"]
    ended = launch(run, words, deepspeed(1), 2, prepare=prepare)
    if killed_at is None:
        assert ended.code == 0, ended.messages
        assert ended.metrics() == whole[:STEPS], "lines that were removed are written again"
        assert json.loads((run / "run.json").read_text())["status"] == "done"
        for part in (*PARTS, "report.html"):
            assert (run / part).exists() or part == "logs", part
        (newest, folder), *_ = checkpoints(run / "checkpoints")
        assert (newest, verify(folder)) == (STEPS, [])
    again = launch(run, [*removing, f"steps={STEPS + 4}"], deepspeed(1), 2)
    assert again.code == 0, again.messages
    assert killed_at or f"from step {STEPS}" in again.messages
    assert again.metrics() == whole
