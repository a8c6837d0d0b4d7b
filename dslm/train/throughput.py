"""How fast a run is and when it will end; the first steps, which are slower, are not counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

WARM_UP = 3
"""Steps that are slower than the rest: allocation, caches, first messages between ranks."""


class Throughput:
    """A clock of training steps that is paused while something else is done.

    Args:
        steps: how many are to be made.
        tokens_per_step: tokens of each.
    """

    def __init__(self, steps: int, tokens_per_step: int) -> None:
        self.steps, self.tokens_per_step = steps, tokens_per_step
        self.started = time.monotonic()
        self.made = 0
        self.pauses = 0.0
        self._warmed_up = (0, 0.0)
        self._last_asked = (0, 0.0)

    def step(self) -> None:
        """Count a step."""
        self.made += 1
        if self.made == WARM_UP:
            self._warmed_up = (self.made, self._training_seconds())

    def tokens_per_second(self) -> float:
        """Tokens a second since the last call."""
        steps, seconds = self._last_asked
        self._last_asked = (self.made, self._training_seconds())
        elapsed = max(self._last_asked[1] - seconds, 1e-9)
        return (self.made - steps) * self.tokens_per_step / elapsed

    def seconds(self) -> float:
        """Seconds since training began, everything included."""
        return time.monotonic() - self.started

    def left(self) -> float | None:
        """Seconds to the end at the speed so far; `None` before it is known."""
        steps, seconds = self._warmed_up
        if self.made <= steps or not steps:
            return None
        a_step = (self._training_seconds() - seconds) / (self.made - steps)
        with_pauses = 1 + self.pauses / max(self.seconds() - self.pauses, 1e-9)
        return (self.steps - self.made) * a_step * with_pauses

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count as training."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.pauses += time.monotonic() - began

    def _training_seconds(self) -> float:
        return self.seconds() - self.pauses
