"""The learning rate as a pure function of the step: nothing to save, nothing to restore.

It rises linearly to its peak and then keeps it or falls; how it falls is a function of the share of
the way that is gone, and a new one is a line in `SHAPES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT

Shape = Callable[[float], float]
"""From the share of the fall that is gone to the height that is left: 1 at 0 and 0 at 1."""


def linear(gone: float) -> float:
    """The same fall with every step."""
    return 1 - gone


def cosine(gone: float) -> float:
    """Slow at both ends (Loshchilov & Hutter 2017, without restarts)."""
    return (1 + math.cos(math.pi * gone)) / 2


SHAPES: dict[str, Shape] = {
    "linear": linear,
    "cosine": cosine,
}
"""The kinds that fall from the end of the warm-up to the last step, down to `minimum`."""

KINDS = ("constant", *SHAPES, "inverse_sqrt", "warmup_stable_decay")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ScheduleConfig:
    """The learning rate's course; its peak is DeepSpeed's `optimizer.params.lr`."""

    kind: Literal[KINDS] = "cosine"  # type: ignore[valid-type]
    """Shape after the warm-up."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the rate rises linearly to its peak; null = a tenth of `steps`, at most
    1,000."""
    decay_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at the end in which warmup_stable_decay falls; null = a fifth of `steps`."""
    minimum: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Rate at the end as a share of the peak (linear, cosine, warmup_stable_decay)."""


def factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """The share of the peak rate with which a step is made.

    Linear warm-up to 1 at step `warmup_steps`, then: constant 1; one of `SHAPES` down to `minimum`
    at the last step; √(warmup / step) (Vaswani et al. 2017, equation 3); or 1 until the last
    `decay_steps`, which fall linearly to `minimum` (warm-up-stable-decay, Hu et al. 2024).

    Args:
        config: the course.
        step: number of the step from 0.
        steps: how many there are.
    """
    warmup = warmup_steps(config, steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.kind == "constant":
        return 1.0
    if config.kind == "inverse_sqrt":
        return math.sqrt((warmup + 1) / (step + 1))
    falling = steps - warmup
    if config.kind == "warmup_stable_decay":
        falling = min(falling, (config.decay_steps or max(1, steps // 5)) + 1)
    gone = max(0, step - (steps - falling)) / max(1, falling - 1)
    return config.minimum + (1 - config.minimum) * SHAPES.get(config.kind, linear)(gone)


def warmup_steps(config: ScheduleConfig, steps: int) -> int:
    """How many steps warm up."""
    return min(steps // 10, 1000) if config.warmup_steps is None else config.warmup_steps
