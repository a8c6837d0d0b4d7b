"""Data and settings that the tests with real ranks share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import MODEL
from helpers.hosts import lacking


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
def needs_hosts() -> None:
    """Skip where this machine cannot hold several hosts; in CI that is a failure."""
    if reason := lacking():
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
