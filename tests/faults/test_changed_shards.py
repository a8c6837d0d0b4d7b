"""Shards that are changed while a run reads them end it with their name, and never by a signal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks


def cut(shard: Path) -> None:
    os.truncate(shard, 1000)


def overwrite(shard: Path) -> None:
    content = shard.read_bytes()
    with shard.open("r+b") as file:
        file.write(content[: len(content) // 2][::-1])


def replace(shard: Path) -> None:
    other = shard.with_suffix(".other")
    other.write_bytes(shard.read_bytes()[::-1])
    other.rename(shard)


def copy_back(shard: Path) -> None:
    other = shard.with_suffix(".other")
    other.write_bytes(shard.read_bytes())
    other.rename(shard)


def change(how: Callable[[Path], None], shard: Path, seconds: float, rank: int) -> None:
    """Let the first rank change a shard before the fifth step; called before it trains."""
    from dslm.train import data_watch
    from dslm.train.loop import Loop

    data_watch.SECONDS = seconds
    train_step = Loop.train_step

    def changed(loop: Loop) -> Any:
        if loop.position.step == 4:
            loop.checkpointer.finish()  # what is being written is not what this is about
            if rank == 0:
                how(shard)
        return train_step(loop)

    Loop.train_step = changed  # type: ignore[method-assign]


@pytest.fixture
def train(words: list[str], shards: Path, tmp_path: Path) -> Callable[..., Ended]:
    """Train on a copy of the shards that is changed on the way."""

    def run(how: Callable[[Path], None], seconds: float) -> Ended:
        copy = tmp_path / "shards"
        shutil.copytree(shards, copy)
        wrong = partial(change, how, copy / "shard-00000.arrow", seconds)
        more = [f"data.train={copy}", "steps=8", "checkpoint_interval=3", "log_interval=1"]
        others = [word for word in words if not word.startswith("data.train=")]
        return launch(tmp_path / "run", [*others, *more], deepspeed(1), 2, prepare=wrong)

    return run


@pytest.mark.parametrize(
    ("how", "seconds", "said"),
    [
        (cut, 1e9, ("has been cut to 1,000 bytes", "has been made 1,000 bytes long")),
        (overwrite, 0.0, ("has been overwritten since it was opened",)),
        (overwrite, 1e9, ("has been overwritten since it was opened",)),
        (replace, 1e9, ("has been overwritten since it was opened",)),
    ],
)
def test_a_shard_that_is_changed_ends_the_run_before_the_next_checkpoint(
    how: Callable[[Path], None], seconds: float, said: tuple[str, ...], train: Callable[..., Ended]
) -> None:
    ended = train(how, seconds)
    assert ended.code == 2, ended.messages
    assert any(f"shard-00000.arrow: {words}" in ended.messages for words in said)
    assert "Traceback" not in ended.messages
    saved = [entry.name for entry in (ended.folder / "checkpoints").iterdir()]
    assert [name for name in saved if not name.startswith(".")] == ["step-00000003"]


@pytest.mark.parametrize(("how", "warned"), [(copy_back, 0), (Path.unlink, 1)])
def test_one_that_is_the_same_or_gone_does_not(
    how: Callable[[Path], None], warned: int, train: Callable[..., Ended]
) -> None:
    ended = train(how, 0.0)
    assert ended.code == 0, ended.messages
    assert ended.messages.count("shard-00000.arrow has gone: the run goes on") == warned
