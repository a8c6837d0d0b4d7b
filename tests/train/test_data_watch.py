"""Failures that come with changed shards are blamed on these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dslm.errors import DataError, TrainingError
from dslm.shards.shard_set import ShardSet
from dslm.train.data_watch import blamed_on_shards


@pytest.fixture
def shards(make_shards: Any) -> ShardSet:
    folder: Path = make_shards("Some words to read. " * 20)
    return ShardSet.open(folder)


def test_a_failure_with_changed_shards_names_these(shards: ShardSet) -> None:
    path = shards.files[0].path
    path.write_bytes(path.read_bytes()[:-8])
    said = r"shard-00000.arrow: has been made .* bytes long"
    with pytest.raises(DataError, match=said), blamed_on_shards([shards]):
        raise RuntimeError("the connection was closed by a peer")


def test_another_failure_stays_what_it_is(shards: ShardSet) -> None:
    with pytest.raises(TrainingError, match="diverged"), blamed_on_shards([shards]):
        raise TrainingError("diverged")
