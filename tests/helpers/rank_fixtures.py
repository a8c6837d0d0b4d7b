"""Data and settings that the tests with real ranks share."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from helpers.deepspeed_json import MODEL, deepspeed
from helpers.hosts import Hosts, lacking, running
from helpers.needs import need
from helpers.starting import SCRIPT, losses, start


@pytest.fixture(scope="session")
def shards(make_shards: Any) -> Path:
    """A small shard set of characters with some structure to learn."""
    folder: Path = make_shards(" ".join(f"{n} times {n} is {n * n}." for n in range(600)))
    return folder


@pytest.fixture(scope="session")
def words(shards: Path) -> list[str]:
    """The tiny preset on the small shard set, every step logged, nothing measured between."""
    return ["tiny", *MODEL, f"data.train={shards}", "evaluation_interval=1000"]


@pytest.fixture(scope="session")
def arguments(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> list[str]:
    """What follows the script in a command that makes four steps, less the run's folder."""
    file = tmp_path_factory.mktemp("plain") / "deepspeed.json"
    file.write_text(json.dumps(deepspeed(1)))
    return [*words, "steps=4", "--deepspeed_config", str(file)]


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory, arguments: list[str]) -> list[float]:
    """The losses of these steps in one process."""
    run = tmp_path_factory.mktemp("plain") / "run"
    ended = start([sys.executable, SCRIPT, *arguments, f"run={run}"])
    assert ended.returncode == 0, ended.stderr
    return losses(run)


STEPS = 80


@pytest.fixture(scope="session")
def long(arguments: list[str]) -> list[str]:
    """What follows the script in a command that makes enough steps to be stopped on the way."""
    given = [word for word in arguments if not word.startswith("steps=")]
    return [*given, f"steps={STEPS}", "checkpoint_interval=10"]


@pytest.fixture(scope="session")
def long_plain(tmp_path_factory: pytest.TempPathFactory, long: list[str]) -> list[float]:
    """The losses of these steps in one process."""
    run = tmp_path_factory.mktemp("plain") / "run"
    ended = start([sys.executable, SCRIPT, *long, f"run={run}"])
    assert ended.returncode == 0, ended.stderr
    found = losses(run)
    assert len(found) == STEPS
    return found


@pytest.fixture(scope="session")
def needs_hosts() -> None:
    """Skip where this machine cannot hold several hosts; in CI that is a failure."""
    need(lacking())


@pytest.fixture(scope="session")
def hosts(needs_hosts: None) -> Iterator[Hosts]:
    """Two hosts, on which DeepSpeed's launcher sets what ranks on a CPU need."""
    with TemporaryDirectory(prefix="hosts") as folder, running(Path(folder)) as made:
        file = made.folder / "variables"
        file.write_text("DS_ACCELERATOR=cpu\nOMP_NUM_THREADS=1\n")
        made.variables["DS_ENV_FILE"] = str(file)
        yield made
