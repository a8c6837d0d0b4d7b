"""What a rank is doing, when it last got on, and how long that may take.

Phases: starting, restoring, compiling, training, measuring, saving, ending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from dslm.progress import duration
from dslm.run.heartbeats import Heartbeat

FLOORS = {"training": 60.0, "measuring": 60.0, "saving": 600.0}
"""Seconds without progress that every run is granted, by phase…"""
STEADY = ("training", "measuring")
"""Phases whose slowest piece of work counts."""
OTHERWISE = 1800.0
"""… and in phases where something may be compiled or read for long, and in the first step."""
LONG = 2.0
"""Seconds that a piece of work takes before its time is shown."""
TIMES = 10.0
"""A run is granted so many times its slowest piece of work."""


WORDS = {
    "starting": "loading torch and laying the model out",
    "restoring": "loading weights",
    "compiling": "compiling blocks",
    "measuring": "measuring the validation loss",
    "saving": "saving",
    "ending": "the ranks leave",
}
"""What a phase is called on the screen."""


def doing(now: Heartbeat, seconds: float) -> str:
    """What a rank is doing, in words.

    Args:
        now: the same in figures.
        seconds: for how long.
    """
    words = WORDS.get(now.phase) or f"in step {now.step:,}"
    return f"{words} · {duration(seconds)}" if seconds > LONG else words


def granted(phase: str, slowest: float | None, stall_minutes: float | None) -> float:
    """Seconds without progress after which a run counts as stalled.

    Args:
        phase: what the rank is doing.
        slowest: seconds of the slowest piece of work so far; `None` before the first step.
        stall_minutes: the setting.
    """
    if phase not in FLOORS:
        return OTHERWISE
    if stall_minutes is not None:
        return 60 * stall_minutes
    return OTHERWISE if slowest is None else max(FLOORS[phase], TIMES * slowest)


def longest(stall_minutes: float | None) -> float:
    """Minutes that a collective may take before its own timeout; the watchdog comes before it."""
    return max(OTHERWISE / 60, stall_minutes or 0.0) + 5


class Activity:
    """What this rank is doing.

    Args:
        now: what it is doing at first.
        stall_minutes: the setting.
    """

    def __init__(self, now: Heartbeat, stall_minutes: float | None) -> None:
        self.now, self.stall_minutes = now, stall_minutes
        self.slowest: float | None = None
        self.compiling = 0.0
        """Seconds of the slowest compilation: other ranks compile as long, while this one waits."""
        self.last = self.entered = time.monotonic()
        self._changing = threading.Lock()

    def beat(self) -> None:
        """A piece of work is done: a micro-batch, a file; any thread may call it."""
        with self._changing:
            now = time.monotonic()
            if self.slowest is not None and self.now.phase in STEADY:
                self.slowest = max(self.slowest, now - self.last)
            self.now, self.last = replace(self.now, beats=self.now.beats + 1), now

    def step(self, step: int, first: int, count: int) -> None:
        """A step of training begins.

        Args:
            step: its number, from 1.
            first: number of its first row.
            count: its rows.
        """
        with self._changing:
            now = time.monotonic()
            if self.now.phase == "training" and self.now.step and self.slowest is None:
                self.slowest = now - self.last  # from here on nothing is new
            self.now = replace(self.now, step=step, samples=(first, first + count - 1))
            self.last = now

    def enter(self, phase: str) -> None:
        """Something else begins."""
        with self._changing:
            self.now = replace(self.now, phase=phase, beats=self.now.beats + 1)
            self.last = self.entered = time.monotonic()

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """Something is compiled in between."""
        with self.during("compiling"):
            yield
            self.compiling = max(self.compiling, self.silent)

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Something else is done in between; after an error its phase stays, to be reported."""
        before = self.now.phase
        self.enter(phase)
        yield
        self.enter(before)

    @property
    def silent(self) -> float:
        """Seconds without progress."""
        return time.monotonic() - self.last

    @property
    def granted(self) -> float:
        """Seconds without progress after which the run counts as stalled."""
        slowest = None if self.slowest is None else max(self.slowest, self.compiling)
        return granted(self.now.phase, slowest, self.stall_minutes)
