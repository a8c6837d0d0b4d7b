"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from dslm.run.config import ScheduleConfig


def factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """The learning rate of a step as a fraction of its peak.

    Linear warm-up to 1 at step `warmup_steps`, then: constant 1; linear or cosine (Loshchilov &
    Hutter 2017, without restarts) down to `minimum` at the last step; √(warmup / step) (Vaswani et
    al. 2017, equation 3); or 1 until the last `decay_steps`, which fall linearly to `minimum`
    (warm-up-stable-decay, Hu et al. 2024).

    Args:
        config: the schedule.
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
    decay = steps - warmup
    if config.kind == "warmup_stable_decay":
        decay = min(decay, (config.decay_steps or max(1, steps // 5)) + 1)
    progress = max(0, step - (steps - decay)) / max(1, decay - 1)
    shape = (1 + math.cos(math.pi * progress)) / 2 if config.kind == "cosine" else 1 - progress
    return config.minimum + (1 - config.minimum) * shape


def warmup_steps(config: ScheduleConfig, steps: int) -> int:
    """How many steps warm up."""
    return min(steps // 10, 1000) if config.warmup_steps is None else config.warmup_steps
