"""The processes of this machine, as the kernel lists them in ``/proc``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Entry:
    """What ``/proc/PID/stat`` says of a process."""

    state: str
    """A letter, such as R for running."""
    parent: int
    """The number of the process that started it, or that took it over."""
    session: int
    started: int
    """Clock ticks from boot to its start: with its number they are its own until the next boot."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing is left of it but the exit code that its parent has not asked for."""
        return self.state in "ZX"


def entry(pid: int, proc: Path = PROC) -> Entry:
    """Look a process up.

    Raises:
        OSError: there is none, or it cannot be looked up.
    """
    text = (proc / str(pid) / "stat").read_text(errors="replace")
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return Entry(fields[0], int(fields[1]), int(fields[3]), int(fields[19]))
