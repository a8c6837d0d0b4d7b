"""Files are verified once over all hosts that share them, and on each host where they do not."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import launch

pytestmark = pytest.mark.ranks


def as_hosts(folders: tuple[Path, Path], report: Path, rank: int) -> None:
    """Let each rank be a host of its own, in a folder of its own, and note the shards it reads."""
    from dslm.files.fingerprint import Expected

    os.environ |= {"LOCAL_RANK": "0", "LOCAL_SIZE": "1"}
    os.chdir(folders[rank])
    right = Expected.whole

    def whole(file: Expected, *given: object) -> bool:
        if file.path.suffix == ".arrow":
            with report.open("a") as noted:
                noted.write(f"{rank} {file.path.name}\n")
        return right(file, *given)  # type: ignore[arg-type]

    Expected.whole = whole  # type: ignore[method-assign]


@pytest.fixture
def words_there(words: list[str]) -> list[str]:
    """The settings with a shard set below the working folder."""
    return [*(w for w in words if not w.startswith("data.train=")), "data.train=set", "steps=2"]


@pytest.fixture
def hosts(tmp_path: Path, shards: Path) -> tuple[Path, Path]:
    """Two hosts' folders, each with a copy of the shard set."""
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        shutil.copytree(shards, folder / "set")
    return folders


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / "set").glob("*.arrow"))


def test_a_damaged_copy_on_one_host_is_found_and_named(
    hosts: tuple[Path, Path], words_there: list[str], tmp_path: Path
) -> None:
    files = sorted((hosts[1] / "set").glob("*.arrow"))
    for file in files:
        content = bytearray(file.read_bytes())
        content[-5] ^= 1
        file.write_bytes(content)
    prepare = partial(as_hosts, hosts, tmp_path / "report")
    ended = launch(tmp_path / "run", words_there, deepspeed(1), 2, prepare=prepare)
    assert ended.code == 2
    for file in files:
        assert f"error: set/{file.name} on the host of rank 1: its bytes" in ended.messages
    assert "on the host of rank 0" not in ended.messages
    read = (tmp_path / "report").read_text().splitlines()
    assert sorted(read) == [f"{rank} {name}" for rank in (0, 1) for name in names(hosts[rank])]


def test_what_hosts_share_is_read_once(
    hosts: tuple[Path, Path], words_there: list[str], tmp_path: Path
) -> None:
    prepare = partial(as_hosts, (hosts[0], hosts[0]), tmp_path / "report")
    ended = launch(tmp_path / "run", words_there, deepspeed(1), 2, prepare=prepare)
    assert ended.code == 0, ended.messages
    read = (tmp_path / "report").read_text().splitlines()
    assert sorted(line.split()[1] for line in read) == names(hosts[0])
