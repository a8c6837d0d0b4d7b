"""Notices, once in a run, that its model has learned next to nothing."""

from __future__ import annotations

import math

from dslm.run.config import RunConfig

BARELY = 0.3
"""Nats: a loss less than this below ln V means that next to nothing has been learned."""
FAR = 1.0
"""Nats: a loss more than this above ln V, where training begins, means that it has become worse."""


def warning(config: RunConfig, step: int, loss: float) -> str | None:
    """What to say of a logged loss; only the first one after a fifth of the steps is judged."""
    uniform, a_fifth = math.log(config.model.size), max(1, config.steps // 5)
    if not a_fifth <= step < a_fifth + config.log_interval or loss <= uniform - BARELY:
        return None
    worse = loss > uniform + FAR
    return (
        f"warning: after {step} steps the loss {loss:.2f} "
        + ("is far above" if worse else "has barely left")
        + f" ln(vocabulary) = {uniform:.2f}: look at the data, or "
        + ("lower the peak learning rate" if worse else "raise the peak learning rate")
    )
