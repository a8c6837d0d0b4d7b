"""A save that fails, or is killed, at any call of the system leaves the checkpoint before whole."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from helpers.os_faults import Calls, watched

from dslm.run.checkpoint import (
    checkpoints,
    layer_file,
    newest_good,
    prune,
    remove_unfinished,
    verify,
)
from dslm.run.checkpoint_writer import Writer

FILES = [layer_file(index, moments) for index in (0, 1) for moments in (False, True)]
RANKS = 2


def save(root: Path, step: int) -> bool:
    """What two ranks do to save, see `dslm.train.checkpointer`; whether the checkpoint counts."""
    writers = [Writer(root, step) for _ in range(RANKS)]
    written, failed = {}, False
    try:
        writers[0].begin(100)
    except OSError:
        failed = True
        writers[0].remove()
    for number, name in enumerate(FILES):
        try:
            tensors = {f"{number}.weight": torch.full((8,), float(step))}
            written[name] = writers[number % RANKS].write(name, tensors)
        except OSError:
            failed = True
    try:
        if not failed:
            writers[0].publish(written, {"step": step}, {"format": 1}, {"world": RANKS})
    except OSError:
        failed = True
    if failed:
        writers[0].remove()
        return False
    with suppress(OSError):
        prune(root, keep=1)
    return True


def calls_of_a_save(root: Path) -> list[str]:
    """All calls that a save makes beside an earlier checkpoint."""
    save(root, 1)
    with watched(Calls(root)) as calls:
        save(root, 2)
    return calls.made


def first_newest(root: Path, steps: tuple[int, ...], why: str) -> None:
    """The newest checkpoint is one of these, and whole."""
    step, problems = newest_good(root, verify)
    assert step in steps, why
    assert problems == [], why


def failing(position: int, number: int, for_ever: bool) -> Callable[[int], None]:
    """Fails at a call, and perhaps at all that follow, as on a disk that has become read-only."""

    def act(call: int) -> None:
        if call == position or (for_ever and call > position):
            raise OSError(number, os.strerror(number))

    return act


def test_the_calls_are_those_of_a_save(tmp_path: Path) -> None:
    made = calls_of_a_save(tmp_path)
    kinds = {call.split()[0] for call in made}
    assert kinds == {"mkdir", "statvfs", "open", "write", "fsync", "close", "replace", "rename"} | {
        "unlink"
    }
    for name in (*FILES, "state.json", "run.json", "manifest.json"):
        assert any(name in call for call in made), name


@pytest.mark.parametrize(
    ("number", "for_ever"), [(errno.ENOSPC, False), (errno.EIO, False), (errno.EROFS, True)]
)
def test_an_error_at_any_call_leaves_the_checkpoint_before(
    number: int, for_ever: bool, tmp_path: Path
) -> None:
    made = calls_of_a_save(tmp_path / "plain")
    for position, what in enumerate(made):
        root = tmp_path / str(position)
        assert save(root, 1)
        with watched(Calls(root, failing(position, number, for_ever))):
            counts = save(root, 2)
        first_newest(root, (2,) if counts else (1, 2), what)
        assert save(root, 3), what
        first_newest(root, (3,), what)
        assert {step for step, _ in checkpoints(root)} == {3}, what


def test_a_kill_at_any_call_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    made = calls_of_a_save(tmp_path / "plain")
    published = next(n for n, call in enumerate(made) if call.startswith("rename .step-00000002"))
    for position, what in enumerate(made):
        root = tmp_path / str(position)
        save(root, 1)
        assert killed_at(root, position) == signal.SIGKILL
        first_newest(root, (2,) if position > published else (1,), what)
        remove_unfinished(root)
        assert not list(root.glob(".*"))
        assert save(root, 3), what
        first_newest(root, (3,), what)


def killed_at(root: Path, position: int) -> int:
    """Save in a process that is killed before a call; returns the signal that ended it."""

    def act(call: int) -> None:
        if call == position:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        with watched(Calls(root, act)):
            save(root, 2)
        os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


def test_everything_is_on_the_disk_before_the_checkpoint_is_there(tmp_path: Path) -> None:
    made = calls_of_a_save(tmp_path)
    rename = made.index("rename .step-00000002.partial")
    for name in (*FILES, "state.json", "run.json", "manifest.json"):
        calls = [call.split()[0] for call in made[:rename] if name in call]
        assert "write" not in calls[calls.index("fsync") :], name
    assert made[rename - 1] == "fsync .step-00000002.partial"
    assert f"fsync {tmp_path.name}" in made[rename:]
