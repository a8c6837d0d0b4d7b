"""What real ranks read a step ahead: nothing behind the last step, and no error but in its step."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

pytestmark = pytest.mark.ranks


def noting(folder: Path, damaged: int | None, rank: int) -> None:
    """Write down which steps are made, by their first samples; called before a rank trains.

    Args:
        folder: where.
        damaged: the first sample of a step that cannot be read.
        rank: which.
    """
    from dslm.errors import DataError, Problem
    from dslm.train import loop

    plain = loop.training_batch

    def noted(*arguments: Any) -> Any:
        first = arguments[3]
        with (folder / f"made.{rank}").open("a") as file:
            file.write(f"{first}\n")
        if first == damaged and rank == 0:
            raise DataError(Problem("shard-00000.arrow", None, "has been cut", "copy it again"))
        return plain(*arguments)

    loop.training_batch = noted


def made(folder: Path, rank: int) -> list[int]:
    return [int(line) for line in (folder / f"made.{rank}").read_text().splitlines()]


@pytest.mark.parametrize(("ranks", "stages"), [(2, 1), (3, 3)])
def test_each_step_is_made_once_and_none_behind_the_last(
    ranks: int, stages: int, words: list[str], tmp_path: Path
) -> None:
    words = [word for word in words if "layers" not in word]
    more = ["steps=5", "checkpoint_interval=2", "model.layers=3", f"pipeline_stages={stages}"]
    config = deepspeed(1, train_batch_size=16)
    ended = launch(
        tmp_path / "run", [*words, *more], config, ranks, prepare=partial(noting, tmp_path, None)
    )
    assert ended.code == 0, ended.messages
    # The first two of the last save, which looks at the loss with the weights that it writes.
    ahead = [16 * step for step in range(5)] + [80]
    assert made(tmp_path, 0) == made(tmp_path, ranks - 1) == ahead
    if stages == 3:  # the middle one is given nothing to train on
        assert made(tmp_path, 1) == [32, 64, 80]


def test_what_cannot_be_read_ends_the_run_in_the_step_that_needs_it(
    words: list[str], tmp_path: Path
) -> None:
    more = ["steps=9", "log_interval=1", "checkpoint_interval=2"]
    prepare = partial(noting, tmp_path, 48)
    ended = launch(tmp_path / "run", [*words, *more], deepspeed(1), 2, prepare=prepare)
    assert ended.code == 2, ended.messages
    assert "shard-00000.arrow: has been cut; copy it again" in ended.messages
    assert "Traceback" not in ended.messages
    lines = (ended.folder / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
