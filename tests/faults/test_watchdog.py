"""A run in which nothing happens any more ends by itself, and names the rank it waited for."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from helpers.trouble import trouble

pytestmark = pytest.mark.ranks

LIMIT = "stall_minutes=0.05"


def stopped(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def asleep(*_: object) -> None:
    time.sleep(1000)


def stalled(
    what: Callable[..., None], rank: int, folder: Path, words: list[str], pipeline: int = 1
) -> tuple[Ended, dict[str, Any], str]:
    """A run in which that happens at step 4: how it ended, its failure, its line on the screen."""
    words = [*words, "steps=1000", LIMIT, f"pipeline_stages={pipeline}"]
    prepare = partial(trouble, what, "training", 4, rank)
    ended = launch(folder, words, deepspeed(1), 2, prepare=prepare)
    assert ended.code not in (0, None)
    [line] = [line for line in ended.messages.splitlines() if line.startswith("error:")]
    return ended, json.loads((ended.folder / "failure.json").read_text()), line


@pytest.mark.parametrize("pipeline", [1, 2])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_was_stopped_is_named_and_ended(
    rank: int, pipeline: int, tmp_path: Path, words: list[str]
) -> None:
    ended, failure, line = stalled(stopped, rank, tmp_path / "run", words, pipeline)
    place = f"rank {rank} on host {os.uname().nodename} is late at step 4 (training, samples 48–63)"
    assert place in line
    assert "does not answer" in line
    assert (failure["rank"], failure["exception"]) == (rank, "stalled")
    stacks = (ended.folder / "stalls" / f"rank-{1 - rank}.txt").read_text()
    assert "phase training, step 4, samples (48, 63)" in stacks
    assert "train_batch" in stacks
    assert not (ended.folder / "stalls" / f"rank-{rank}.txt").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_is_not_taken_for_one_that_waits_for_it(
    rank: int, tmp_path: Path, words: list[str]
) -> None:
    ended, failure, line = stalled(asleep, rank, tmp_path / "run", words)
    assert f"rank {rank} on host {os.uname().nodename} is late at step 4 (training, " in line
    assert failure["rank"] == rank
    assert "in asleep" in failure["traceback"]
    assert sorted(file.name for file in (ended.folder / "stalls").iterdir()) == [
        "rank-0.txt",
        "rank-1.txt",
    ]


def waiting_shortly(rank: int) -> None:
    """Collectives that wait five seconds, and a rank that is stopped within a step."""
    from dslm.train import pretrain

    pretrain.longest = lambda _: 5 / 60
    trouble(stopped, "training", 4, 1, rank)


def test_no_collective_of_any_group_waits_longer_than_all_may(
    tmp_path: Path, words: list[str]
) -> None:
    """Without the watchdog; ZeRO reduces in a group that DeepSpeed makes for itself."""
    words = [*words, "steps=1000", "stall_minutes=10"]
    ended = launch(tmp_path / "run", words, deepspeed(1), 2, prepare=waiting_shortly)
    assert ended.code not in (0, None)
    failure = json.loads((ended.folder / "failure.json").read_text())
    assert (failure["rank"], failure["step"], failure["found_by"]) == (1, 4, 0)
    assert "killed or stopped, or its host or network is gone" in ended.messages
    assert "Timed out waiting 5000ms" in (ended.folder / "logs" / "rank-0.log").read_text()
