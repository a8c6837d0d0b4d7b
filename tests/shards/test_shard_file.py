"""Pieces of a shard are read right, and a file that has been cut is an error with its name."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import DataError
from dslm.shards.shard_file import EVERY, Column, ShardFile


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """5,000 sorted numbers with repetitions, after eight other bytes."""
    path = tmp_path_factory.mktemp("file") / "shard"
    numbers = np.sort(np.random.default_rng(0).integers(0, 4000, 5000))
    path.write_bytes(bytes(8) + numbers.tobytes())
    return path


@given(values=st.lists(st.integers(-5, 4005), max_size=20))
def test_a_sorted_column_is_searched_as_numpy_does(path: Path, values: list[int]) -> None:
    column = Column(ShardFile(path, np.uint16), 8, 5000, np.int64)
    expected = np.searchsorted(column.read(), np.array(values, dtype=np.int64), "right")
    assert column.count_at_most(np.array(values, dtype=np.int64)).tolist() == expected.tolist()


@given(start=st.integers(0, 5000), length=st.integers(0, 2 * EVERY))
def test_a_piece_is_what_lies_there(path: Path, start: int, length: int) -> None:
    stop = min(5000, start + length)
    column = Column(ShardFile(path, np.uint16), 8, 5000, np.int64)
    assert column.read(start, stop).tolist() == column.read()[start:stop].tolist()


@pytest.mark.parametrize("size", [0, 100, 40_000])
def test_a_file_that_was_cut_after_it_was_opened_is_an_error(
    size: int, path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "shard"
    copy.write_bytes(path.read_bytes())
    file = ShardFile(copy, np.int64)
    file.tokens(1, 5000)
    os.truncate(copy, size)
    with pytest.raises(DataError, match=f"shard: has been cut to {size:,} bytes"):
        file.tokens(1, 5000)


def test_a_file_that_is_gone_is_read_on_and_not_opened_anew(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shard"
    copy.write_bytes(path.read_bytes())
    file = ShardFile(copy, np.int64)
    copy.unlink()
    assert file.tokens(1, 5000).size == 5000
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        ShardFile(copy, np.int64)


def test_files_are_closed_when_nobody_has_them(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    files = [ShardFile(path, np.int64) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) == before + 20
    del files
    assert len(os.listdir("/proc/self/fd")) == before
