"""Losses far above those before: what is one is known before the step, from the steps made."""

from __future__ import annotations

import math
import statistics
from collections import deque

from dslm.run.bad_steps import BadStepsConfig


class Spikes:
    """Knows the losses of the last steps.

    Args:
        config: what is a spike, and what is done about it.
    """

    def __init__(self, config: BadStepsConfig) -> None:
        self.config = config
        self._losses: deque[float] = deque(maxlen=config.window)
        self._limits: dict[int, float] = {}

    def limit(self, step: int) -> float | None:
        """The highest loss of a step that is no spike; `None` while too few are known.

        Args:
            step: the number of the step about to be made; its loss is judged by this limit.
        """
        if self.config.spike == "ignore" or len(self._losses) < self.config.window:
            return None
        deviation = statistics.stdev(self._losses)
        limit = statistics.fmean(self._losses) + self.config.deviations * deviation
        self._limits[step] = limit
        return limit

    def judge(self, step: int, loss: float) -> str | None:
        """Whether the loss of a step is a spike, in words; else it is one of those before.

        Args:
            step: its number.
            loss: the mean over all ranks.
        """
        limit = self._limits.pop(step, None)
        if not math.isfinite(loss):
            return None
        if limit is not None and loss > limit:
            return (
                f"the loss {loss:.4f} of step {step} is a spike: more than "
                f"{self.config.deviations:g} deviations above the mean of {self.config.window} "
                f"steps is above {limit:.4f}"
            )
        self._losses.append(loss)
        return None
