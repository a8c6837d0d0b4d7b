"""DeepSpeed's learning rate schedules, as settings of dslm's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.draft import ABSENT, Draft

KINDS = {"WarmupLR": "constant", "WarmupDecayLR": "linear", "WarmupCosineLR": "cosine"}
"""Schedules that dslm has; they rise linearly here and by default as a logarithm there."""
RATE = "optimizer.params.lr"


def move_schedule(draft: Draft) -> None:
    """Take the schedule out of the file and note the settings that stand for it."""
    kind = draft.of("scheduler.type")
    if draft.of("scheduler") is ABSENT:
        return
    found = draft.of("scheduler.params")
    params: dict[str, Any] = found if isinstance(found, dict) else {}
    if kind == "OneCycle":
        _one_cycle(draft, params)
    elif kind in KINDS:
        _warm_up(draft, str(kind), params)
    else:
        draft.remove("scheduler", "dslm owns the schedule")
        rule = "is a schedule that dslm does not have"
        fix = "give scheduler=null and choose schedule.kind=… for the run"
        if kind not in (ABSENT, None):
            draft.missing.append(Problem("scheduler.type", kind, rule, fix))


def schedule_words(config: Mapping[str, Any]) -> str:
    """The settings that stand for the schedule of a file, as they are typed; empty if none do.

    Args:
        config: as read from the file.
    """
    draft = Draft(config)
    move_schedule(draft)
    rate = draft.of(RATE)
    words = draft.words | ({"lr": rate} if rate != Draft(config).of(RATE) else {})
    return " ".join(f"{key}={value}" for key, value in words.items())


def _warm_up(draft: Draft, kind: str, params: dict[str, Any]) -> None:
    form = "" if params.get("warmup_type") == "linear" else ", which rises linearly"
    draft.remove("scheduler", f"dslm owns the schedule: schedule.kind={KINDS[kind]}{form}")
    draft.say("schedule.kind", KINDS[kind])
    names = {
        "warmup_num_steps": "schedule.warmup_steps",
        "total_num_steps": "schedule.steps",
        "cos_min_ratio": "schedule.minimum",
    }
    for old, new in names.items():
        if isinstance(params.get(old), int | float):
            draft.say(new, params[old])
    if kind == "WarmupDecayLR":
        draft.say("schedule.minimum", 0)
    elif kind == "WarmupCosineLR" and "cos_min_ratio" not in params:
        draft.say("schedule.minimum", 0.0001)
    _peak(draft, params.get("warmup_max_lr"), "warmup_max_lr")


def _one_cycle(draft: Draft, params: dict[str, Any]) -> None:
    draft.remove("scheduler", "dslm owns the schedule: one rise and one fall, schedule.kind=linear")
    draft.say("schedule.kind", "linear")
    rise = params.get("cycle_first_step_size")
    fall = params.get("cycle_second_step_size", rise)
    if isinstance(rise, int) and isinstance(fall, int):
        draft.say("schedule.warmup_steps", rise)
        draft.say("schedule.steps", rise + fall)
    high, low = params.get("cycle_max_lr"), params.get("cycle_min_lr")
    if isinstance(high, float) and isinstance(low, float) and high > 0:
        draft.say("schedule.minimum", round(min(low / high, 1.0), 6))
    _peak(draft, high, "cycle_max_lr")


def _peak(draft: Draft, rate: object, name: str) -> None:
    """The schedule's peak is the optimizer's rate."""
    if not isinstance(rate, float) or not rate or draft.of(RATE) == rate:
        return
    if draft.has("optimizer"):
        draft.missing = [problem for problem in draft.missing if problem.where != RATE]
        draft.put(RATE, rate, f"the peak that the schedule gave: {name}")
