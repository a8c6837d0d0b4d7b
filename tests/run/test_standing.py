"""How a run stands is found out from its folder, whatever its record says."""

from __future__ import annotations

import fcntl
import socket
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dslm.run.failure import Failure
from dslm.run.folder import RunFolder
from dslm.run.standing import GONE, MISSED, read_standing

HERE = socket.gethostname()


def running(silent: float, host: str = HERE) -> dict[str, Any]:
    time = datetime.now(timezone.utc) - timedelta(seconds=silent)
    heartbeat = {"time": time.isoformat(), "step": 18, "phase": "training", "host": host}
    return {"status": "running", "ended": None, "heartbeat": heartbeat}


@pytest.mark.parametrize(
    ("held", "silent", "host", "word"),
    [
        (True, 1, HERE, "running"),
        (True, GONE + 60, HERE, "crashed"),
        (False, 1, HERE, "crashed"),
        (False, 1, "elsewhere", "running"),
        (False, MISSED + 60, "elsewhere", "crashed"),
    ],
)
def test_a_run_that_gives_no_sign_of_life_has_crashed(
    held: bool, silent: float, host: str, word: str, tmp_path: Path
) -> None:
    with (tmp_path / ".lock").open("w") as lock:
        if held:
            fcntl.flock(lock, fcntl.LOCK_EX)
        standing = read_standing(RunFolder(tmp_path), running(silent, host))
    assert standing.word == word
    assert "last sign of life" in standing.sentence
    assert standing.sentence.endswith("ago at step 18 (training)")


def test_what_another_rank_wrote_of_the_failure_counts(tmp_path: Path) -> None:
    failure = Failure(
        rank=1,
        host="b",
        phase="saving",
        step=20,
        samples=(304, 319),
        exception="killed",
        message="killed, or out of memory",
    )
    assert failure.record(tmp_path / "failure.json")
    standing = read_standing(RunFolder(tmp_path), running(1))
    assert (standing.word, standing.sentence) == ("failed", failure.sentence())
    assert failure.sentence() == (
        "rank 1 on host b ended without a word at step 20 (saving, samples 304–319): "
        "killed, or out of memory"
    )


def test_of_two_failures_the_first_is_kept(tmp_path: Path) -> None:
    where = {"host": "a", "phase": "training", "step": 1, "samples": None}
    first, second = (
        Failure(rank=rank, exception="ValueError", message="", **where)  # type: ignore[arg-type]
        for rank in (3, 4)
    )
    assert [one.record(tmp_path / "failure.json") for one in (first, second)] == [True, False]
    assert '"rank": 3' in (tmp_path / "failure.json").read_text()


def test_a_run_that_has_ended_stands_as_it_ended(tmp_path: Path) -> None:
    standing = read_standing(RunFolder(tmp_path), {"status": "done", "ended": "all 3 steps made"})
    assert (standing.word, standing.sentence) == ("done", "all 3 steps made")
