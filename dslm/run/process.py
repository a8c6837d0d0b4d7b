"""A process of a run, known for certain from others of the same machine."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from dslm.process_table import Entry, entry


@dataclass(frozen=True)
class Process:
    """One process: its number may be given to another one, the time of its start is its own."""

    host: str
    space: str
    """The boot of the machine and the space of process numbers in which `pid` has a meaning."""
    pid: int
    started: int
    """Clock ticks from boot to start."""

    @classmethod
    def this(cls) -> Process:
        """The process that calls."""
        found = _entry(os.getpid())
        started = found.started if found else 0
        return cls(socket.gethostname(), _space(), os.getpid(), started)

    @property
    def is_local(self) -> bool:
        """Whether this process can see it: same machine, same space of process numbers."""
        return bool(self.space) and self.space == _space()

    @property
    def has_ended(self) -> bool:
        """Whether it is known to have ended; of a process elsewhere nothing is known."""
        if not self.is_local:
            return False
        found = _entry(self.pid)
        return found is None or found.has_ended or found.started != self.started

    def kill(self) -> bool:
        """Kill it, if it is local and still the same; returns whether it was."""
        if not self.is_local or self.started == 0:
            return False
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            if self.has_ended:  # the handle is of whoever has the number now
                return False
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        except OSError:
            return False
        finally:
            os.close(handle)
        return True


def _space() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _entry(pid: int) -> Entry | None:
    try:
        return entry(pid)
    except OSError:
        return None
