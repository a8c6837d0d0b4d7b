"""Ranks that are not about to do the same thing do not begin, and all differences are reported."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.environment import World
from dslm.train import agreement

pytestmark = pytest.mark.ranks

HOST = os.uname().nodename


def refused(
    folder: Path, words: list[str], prepare: Callable[[int], None], ranks: int = 2
) -> list[str]:
    """The lines of a run that does not begin."""
    ended = launch(
        folder, [*words, "steps=4"], deepspeed(1, train_batch_size=24), ranks, prepare=prepare
    )
    assert ended.code == 2, ended.messages
    assert "Traceback" not in ended.messages
    assert not (folder / "run.json").exists()
    lines = ended.messages.splitlines()
    assert all(line.startswith("error: ") for line in lines), lines
    return lines


def differ(rank: int) -> None:
    """Another learning rate, another setting and another version of torch on rank 1."""
    from dslm.commands import pretrain

    prepare, version = pretrain.prepare, agreement.version

    def other(words: list[str], config: str | None, file: str, world: World) -> object:
        job = prepare([*words, "seed=7"], config, file, world)
        job.deepspeed["optimizer"]["params"]["lr"] = 3e-4
        return job

    if rank == 1:
        pretrain.prepare = other  # type: ignore[assignment]
        agreement.version = lambda name: "0.1" if name == "torch" else version(name)


def test_all_differences_are_reported_at_once(tmp_path: Path, words: list[str]) -> None:
    lines = refused(tmp_path / "run", words, differ)
    assert [line.partition(": is ")[0] for line in lines] == [
        "error: seed",
        "error: optimizer.params.lr of DeepSpeed's JSON",
        "error: version of torch",
    ]
    assert f"is 0 on rank 0 (host {HOST}) and 7 on rank 1 (host {HOST})" in lines[0]
    assert f"is 0.01 on rank 0 (host {HOST}) and 0.0003 on rank 1" in lines[1]


def other_data(rank: int) -> None:
    from dslm.shards.shard_set import ShardSet

    if rank == 1:
        ShardSet.fingerprint = property(lambda _: "another")  # type: ignore[assignment]


def test_other_data_under_the_same_path_is_found(
    tmp_path: Path, words: list[str], shards: Path
) -> None:
    [line] = refused(tmp_path / "run", words, other_data)
    assert line.startswith(f"error: data {shards}: is ")
    assert f'"another" on rank 1 (host {HOST})' in line


def elsewhere(folder: Path, rank: int) -> None:
    """The same words, in a working folder that each rank has for itself."""
    from dslm.commands import pretrain

    prepare = pretrain.prepare

    def relative(words: list[str], config: str | None, file: str, world: World) -> object:
        own = ["run=run" if word.startswith("run=") else word for word in words]
        return prepare(own, config, file, world)

    (folder / str(rank)).mkdir()
    os.chdir(folder / str(rank))
    agreement.SHARED = 0.5
    pretrain.prepare = relative  # type: ignore[assignment]


def test_a_folder_that_is_not_shared_is_found(tmp_path: Path, words: list[str]) -> None:
    [line] = refused(tmp_path / "run", words, partial(elsewhere, tmp_path))
    assert line.startswith(f"error: rank 1 on host {HOST}: run = '{tmp_path}/1/run': is another")


def missing(where: int, rank: int) -> None:
    from dslm.errors import DataError, Problem
    from dslm.train import prepare

    def refuse(*_: object) -> None:
        raise DataError(Problem("data.train", "shards", "no such shard set"))

    if rank == where:
        prepare.open_sources = refuse  # type: ignore[assignment]


@pytest.mark.parametrize("rank", [0, 1])
def test_data_that_one_host_lacks_ends_all_at_once(
    rank: int, tmp_path: Path, words: list[str]
) -> None:
    lines = refused(tmp_path / "run", words, partial(missing, rank), ranks=3)
    where = f"rank 1 on host {HOST}: " if rank else ""
    assert lines == [f"error: {where}data.train = 'shards': no such shard set"]


def crash(rank: int) -> None:
    from dslm.commands import pretrain

    def fail(*_: object) -> None:
        raise ZeroDivisionError("in a check")

    if rank == 1:
        pretrain.prepare = fail  # type: ignore[assignment]


def test_a_check_that_crashes_keeps_nobody_waiting(tmp_path: Path, words: list[str]) -> None:
    ended = launch(tmp_path / "run", [*words, "steps=4"], deepspeed(1), 2, prepare=crash)
    assert ended.code == 2
    assert f"error: rank 1 on host {HOST}: ZeroDivisionError: in a check" in ended.messages


def occupy(rank: int) -> None:
    if rank == 0:
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        globals()["taken"] = taken
        os.environ["MASTER_PORT"] = str(taken.getsockname()[1])


def test_a_port_that_is_used_is_named_with_the_option_for_another(
    tmp_path: Path, words: list[str]
) -> None:
    ended: Ended = launch(tmp_path / "run", [*words, "steps=4"], deepspeed(1), 2, prepare=occupy)
    assert ended.code == 2
    [line] = ended.messages.splitlines()
    assert line.startswith("error: MASTER_PORT = '")
    assert "is used by another program" in line
    assert re.search(r"--master_port \d+, or MASTER_PORT=\d+ for srun$", line)
