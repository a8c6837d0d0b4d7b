"""The learning rate as a pure function of the step: nothing to save, nothing to restore.

It rises linearly to its peak and then keeps it or falls; how it falls is a function of the share of
the way that is gone, and a new one is a line in `SHAPES`. The way is as long as the run unless the
settings say otherwise, so a longer run has other rates at the same steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem

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

FALLING = (*SHAPES, "warmup_stable_decay")
"""The kinds that end at `minimum`."""
KINDS = ("constant", *SHAPES, "inverse_sqrt", "warmup_stable_decay")


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ScheduleConfig:
    """The learning rate's course; its peak is DeepSpeed's `optimizer.params.lr`."""

    kind: Literal[KINDS] = "cosine"  # type: ignore[valid-type]
    """Shape after the warm-up."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Length of the schedule; null = `steps`. A run that is longer goes on at the last rate
    (inverse_sqrt falls on); one that is shorter makes a part of the schedule."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """Steps in which the rate rises linearly to its peak; null = a tenth of the schedule, at
    most 1,000."""
    decay_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at the end in which warmup_stable_decay falls; null = a fifth of the
    schedule."""
    minimum: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Rate at the end as a share of the peak (linear, cosine, warmup_stable_decay)."""


def factor(config: ScheduleConfig, step: int, steps: int) -> float:
    """The share of the peak rate with which a step is made.

    Linear warm-up to 1 at step `warmup_steps`, then: constant 1; one of `SHAPES` down to `minimum`
    at the schedule's last step; √(warmup / step) (Vaswani et al. 2017, equation 3); or 1 until the
    last `decay_steps`, which fall linearly to `minimum` (warm-up-stable-decay, Hu et al. 2024).
    After the schedule's last step, `minimum` is kept.

    Args:
        config: the course.
        step: number of the step from 0.
        steps: how many the run has.
    """
    warmup, steps = warmup_steps(config, steps), length(config, steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.kind == "constant":
        return 1.0
    if config.kind == "inverse_sqrt":
        return math.sqrt((warmup + 1) / (step + 1))
    falling = steps - warmup
    if config.kind == "warmup_stable_decay":
        falling = min(falling, (config.decay_steps or max(1, steps // 5)) + 1)
    gone = min(1.0, max(0, step - (steps - falling)) / max(1, falling - 1))
    return config.minimum + (1 - config.minimum) * SHAPES.get(config.kind, linear)(gone)


def length(config: ScheduleConfig, steps: int) -> int:
    """How many steps the schedule has in a run of so many."""
    return steps if config.steps is None else config.steps


def warmup_steps(config: ScheduleConfig, steps: int) -> int:
    """How many steps of a run warm up."""
    a_tenth = min(length(config, steps) // 10, 1000)
    return a_tenth if config.warmup_steps is None else config.warmup_steps


def check_schedule(config: ScheduleConfig, steps: int) -> list[Problem]:
    """What contradicts itself in a run of so many steps."""
    problems, warmup, whole = [], config.warmup_steps, length(config, steps)
    if warmup is not None and warmup >= whole:
        rule = f"leaves none of the {whole} steps after the warm-up"
        fix = f"use at most {whole - 1}, or null"
        problems.append(Problem("schedule.warmup_steps", warmup, rule, fix))
    if whole < steps and config.kind in FALLING and not config.minimum:
        rule = f"leaves the steps from there to {steps} at a rate of 0, as schedule.minimum is 0"
        fix = "give schedule.minimum, or leave schedule.steps out"
        problems.append(Problem("schedule.steps", config.steps, rule, fix))
    return problems


def settled(config: ScheduleConfig, steps: int, more: int) -> ScheduleConfig:
    """The schedule with which a run of `steps` goes on to `more` at the rate where it has come.

    The same where a longer run has the same rates anyway, or where the rate has come to 0.
    """
    kept = replace(config, steps=length(config, steps))
    last = steps - 1
    if factor(kept, last, more) == factor(config, last, more) or not factor(kept, steps, more):
        return config
    return kept
