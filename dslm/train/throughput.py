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
        self.compiling = 0.0
        """Seconds of compiling, and of the steps in which something was compiled."""
        self._compiled = False
        """Whether something was compiled in this step."""
        self._timed = 0
        """Steps in which nothing was."""
        self._last_step = 0.0
        self._warmed_up = (0, 0.0)
        self._last_asked = (0, 0.0)

    def step(self) -> None:
        """Count a step; one in which something was compiled tells nothing of the others."""
        self.made += 1
        now = self._training_seconds()
        if self._compiled:  # by this rank, and then the others were waited for
            self.compiling += now - self._last_step
            self._compiled = False
            return
        self._timed, self._last_step = self._timed + 1, now
        if self._timed == WARM_UP:
            self._warmed_up = (self._timed, now)

    def tokens_per_second(self) -> float | None:
        """Tokens a second since the last call; `None` where no step since then tells."""
        steps, seconds = self._last_asked
        self._last_asked = (self._timed, self._training_seconds())
        elapsed = max(self._last_asked[1] - seconds, 1e-9)
        return (self._timed - steps) * self.tokens_per_step / elapsed or None

    def seconds(self) -> float:
        """Seconds since training began, everything included."""
        return time.monotonic() - self.started

    def left(self) -> float | None:
        """Seconds to the end at the speed so far; `None` before it is known."""
        steps, seconds = self._warmed_up
        if self._timed <= steps or not steps:
            return None
        a_step = (self._training_seconds() - seconds) / (self._timed - steps)
        with_pauses = 1 + self.pauses / max(self._training_seconds(), 1e-9)
        return (self.steps - self.made) * a_step * with_pauses

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count as training."""
        began, compiled = self.seconds() - self.compiling, self._compiled
        try:
            yield
        finally:
            self.pauses += self.seconds() - self.compiling - began
            self._compiled = compiled

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """Time inside counts neither as training nor as a pause: it does not come again."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.compiling += time.monotonic() - began
            self._compiled = True

    def _training_seconds(self) -> float:
        return self.seconds() - self.pauses - self.compiling
