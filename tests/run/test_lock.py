"""A run's folder has one run, also when its lock is removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dslm.errors import CheckpointError
from dslm.run.lock import RunLock
from dslm.run.standing import is_free


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[tuple[RunLock, RunLock]]:
    """The locks of two runs in one folder; a lock belongs to an open file, not to a process."""
    first, second = (RunLock(tmp_path / "run", lambda: {"time": "noon"}) for _ in range(2))
    first.take()
    yield first, second
    first.release()
    second.release()


def test_another_run_is_kept_out_until_the_first_lets_go(locks: tuple[RunLock, RunLock]) -> None:
    first, second = locks
    with pytest.raises(CheckpointError, match=r"another run is writing .* heartbeat at noon"):
        second.take()
    first.release()
    second.take()


def test_a_lock_whose_file_was_removed_is_taken_again(locks: tuple[RunLock, RunLock]) -> None:
    first, second = locks
    first.path.unlink()
    first.folder.rmdir()
    assert is_free(first.path)
    first.hold()
    assert not is_free(first.path)
    with pytest.raises(CheckpointError):
        second.take()


def test_a_folder_that_another_run_has_taken_meanwhile_is_left_to_it(
    locks: tuple[RunLock, RunLock],
) -> None:
    first, second = locks
    first.path.unlink()
    second.take()
    for _ in range(2):
        with pytest.raises(CheckpointError, match="another run is writing"):
            first.hold()
    second.hold()


def test_who_had_no_lock_takes_none(tmp_path: Path) -> None:
    lock = RunLock(tmp_path / "run", dict)
    lock.hold()
    assert not tmp_path.joinpath("run").exists()
