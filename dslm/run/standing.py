"""How a run stands, for whoever looks at its folder: what ``run.json`` says may be out of date.

A process that was killed cannot write that it has ended. What it leaves is a lock that nobody
holds, a heartbeat that has stopped, and perhaps a ``failure.json`` that another rank wrote.
"""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

from dslm.progress import duration
from dslm.run.failure import read_failure
from dslm.run.folder import RunFolder
from dslm.run.status import Status

MISSED = 120.0
"""Seconds without a heartbeat after which a run whose lock is free counts as crashed…"""
GONE = 600.0
"""… and one whose lock is held, or cannot be looked at from here, as well."""
WORDS = (*get_args(Status), "crashed")
"""All ways in which a run may stand."""


@dataclass(frozen=True)
class Standing:
    """How a run stands."""

    word: str
    """One of `WORDS`."""
    sentence: str
    """The same for people."""


def read_standing(folder: RunFolder, record: Mapping[str, Any]) -> Standing:
    """How a run stands now.

    Args:
        folder: of the run.
        record: its ``run.json``.
    """
    word, sentence = str(record.get("status") or ""), str(record.get("ended") or "")
    if word != "running":
        return Standing(word, sentence or word)
    if failure := read_failure(folder.failure):
        return Standing("failed", failure.sentence())
    beat = record.get("heartbeat")
    heartbeat: Mapping[str, Any] = beat if isinstance(beat, dict) else {}
    silent = seconds_since(heartbeat.get("time"))
    here = heartbeat.get("host") in (None, socket.gethostname())
    free = is_free(folder.path / ".lock")
    if free and (here or silent is None or silent > MISSED):
        return Standing("crashed", f"crashed{_where(heartbeat, silent)}")
    if silent is not None and silent > GONE:
        return Standing("crashed", f"crashed or stopped{_where(heartbeat, silent)}")
    return Standing("running", f"running{_where(heartbeat, silent)}")


def _where(heartbeat: Mapping[str, Any], silent: float | None) -> str:
    if silent is None:
        return ""
    step, phase = heartbeat.get("step"), heartbeat.get("phase")
    return f", last sign of life {duration(silent)} ago at step {step} ({phase})"


def seconds_since(time: object) -> float | None:
    """Seconds since a time in the form of ISO 8601; `None` if it is none."""
    try:
        then = datetime.fromisoformat(str(time))
    except ValueError:
        return None
    return max(0.0, (datetime.now(timezone.utc) - then.astimezone(timezone.utc)).total_seconds())


def is_free(lock: Path) -> bool:
    """Whether no process holds the lock of a run's folder."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
