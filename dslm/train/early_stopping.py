"""Whether a run has reached its goal, or has not become better for too long (`patience`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dslm.run.best import LOSS, Measured, read_measured, write_measured
from dslm.run.config import RunConfig

BEST, MISSES = "best_validation", "misses"
"""Where the state of a checkpoint holds what is known of the measurements until then."""


class EarlyStopping:
    """The best measurement so far, and how many came after it.

    Measurements of other rows, or by another metric, are not compared with those before: counting
    begins anew.

    Args:
        config: the goals.
        state: of the checkpoint from which the run goes on; empty where it begins.
    """

    def __init__(self, config: RunConfig, state: Mapping[str, Any]) -> None:
        self.config = config
        self.best = read_measured(state, BEST)
        self.misses = state.get(MISSES, 0) if self.best else 0

    def reason(self, found: Measured) -> str | None:
        """Why to stop after a measurement; `None` to go on."""
        config = self.config
        if self.best is None or not found.is_like(self.best) or found.beats(self.best):
            self.best, self.misses = found, 0
        else:
            self.misses += 1
        if config.target_loss is not None and found.loss <= config.target_loss:
            return f"validation loss {found.loss:.4f} reached target_loss = {config.target_loss}"
        if config.patience is not None and self.misses >= config.patience:
            bar = f"loss not below {self.best.loss:.4f}"
            if found.by != LOSS:
                bar = f"{found.by} not above {self.best.metrics.get(found.by, math.nan):.4f}"
            return f"validation {bar} for {self.misses} measurements"
        return None

    def numbers(self) -> dict[str, Any]:
        """What the state of a checkpoint holds of it."""
        return {**write_measured(self.best, BEST), MISSES: self.misses}
