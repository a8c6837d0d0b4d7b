"""How fast a run goes and when it will end; the first steps, which warm up, are not counted in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

WARM_UP = 3
"""Steps that are slower than the rest: allocation, caches, first contact between ranks."""


class Throughput:
    """A clock of training steps that stands still while something else is done.

    Args:
        steps: how many are to be made.
        tokens_per_step: tokens of each.
    """

    def __init__(self, steps: int, tokens_per_step: int) -> None:
        self.steps, self.tokens_per_step = steps, tokens_per_step
        self.started = time.monotonic()
        self.made = 0
        self.apart = 0.0
        self._warm = (0, 0.0)
        self._told = (0, 0.0)

    def step(self) -> None:
        """Count a step."""
        self.made += 1
        if self.made == WARM_UP:
            self._warm = (self.made, self._training_seconds())

    def tokens_per_second(self) -> float:
        """The rate since it was last asked for."""
        steps, seconds = self._told
        self._told = (self.made, self._training_seconds())
        elapsed = max(self._told[1] - seconds, 1e-9)
        return (self.made - steps) * self.tokens_per_step / elapsed

    def seconds(self) -> float:
        """Seconds since training began, everything included."""
        return time.monotonic() - self.started

    def left(self) -> float | None:
        """Seconds to the end at the pace so far; `None` before there is one."""
        steps, seconds = self._warm
        if self.made <= steps or not steps:
            return None
        a_step = (self._training_seconds() - seconds) / (self.made - steps)
        share_apart = 1 + self.apart / max(self.seconds() - self.apart, 1e-9)
        return (self.steps - self.made) * a_step * share_apart

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not training."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.apart += time.monotonic() - began

    def _training_seconds(self) -> float:
        return self.seconds() - self.apart
