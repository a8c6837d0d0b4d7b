"""What is another when a run is resumed: settings, and the course of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from dslm.run.folder import filled, flat
from dslm.run.metrics import read_metrics
from dslm.run.schedule import ScheduleConfig, factor
from dslm.train.elastic import split
from dslm.train.prepare import Job

OF_A_START = ("run", "fresh")
"""Settings that say where and how to start, and nothing of the training."""


def resumed(job: Job, before: Mapping[str, Any], step: int) -> list[str]:
    """The lines of the first screen that a resumed run has more than another.

    Args:
        job: what to do.
        before: what ``run.json`` held until now.
        step: from which it goes on.
    """
    lines = [
        ("changed", ", ".join(changes(job, before))),
        ("batch", batch(job, before)),
        ("lr", rate(job, before, step)),
    ]
    return [f"{name:<9}{text}" for name, text in lines if text]


def changes(job: Job, before: Mapping[str, Any]) -> Iterator[str]:
    """Each setting, of dslm and of DeepSpeed, that is another than at the last start."""
    parts = (
        (filled(before.get("config", {})), job.settings),
        (before.get("deepspeed", {}), job.deepspeed),
    )
    for old, new in ((flat(then), flat(now)) for then, now in parts):
        for key in dict.fromkeys([*new, *old]):
            if key not in OF_A_START and old.get(key) != new.get(key):
                yield f"{key} {_shown(old.get(key))} → {_shown(new.get(key))}"
    then = (before.get("data") or {}).get("validation") or {}
    now = job.sources.record()["validation"] or {}
    same = [then.get(key) == now.get(key) for key in ("folder", "fingerprint")]
    if same == [True, False]:
        yield "the shards of data.validation"


def batch(job: Job, before: Mapping[str, Any]) -> str:
    """How the ranks share a batch from now on, and until now, where that is another way."""
    plan = job.plan
    now = {**asdict(plan), "replicas": plan.replicas, "batch": plan.batch}
    then = before.get("plan", {})
    if all(then.get(key) in (now[key], None) for key in ("micro_batch", "accumulation", "batch")):
        return ""
    kept = "kept, " if then["batch"] == plan.batch else ""
    return f"{kept}{split(now)}; was {split(then)}"


def rate(job: Job, before: Mapping[str, Any], step: int) -> str:
    """The learning rate until now and from now on, where it takes another course; else nothing."""
    line = _last_rate(job, step)
    if line is None or step >= job.config.steps:
        return ""
    made, was = line
    parameters = job.deepspeed["optimizer"].get("params", {})
    peaks = [parameters[name] for name in ("lr", "muon_lr", "adam_lr") if name in parameters]

    def follows(schedule: ScheduleConfig) -> bool:
        height = factor(schedule, made - 1, job.config.steps)
        return any(math.isclose(peak * height, was, rel_tol=1e-5) for peak in peaks)

    schedule, steps = job.config.schedule, job.config.steps
    if follows(schedule):
        return ""
    text = f"was {was:.2e} at step {made:,}, goes on with "
    text += f"{peaks[0] * factor(schedule, step, steps):.2e}"
    for length in (*_planned(before), step):
        kept = replace(schedule, steps=length)
        if follows(kept) and (height := factor(kept, step, steps)):
            return f"{text}; schedule.steps={length} goes on with {peaks[0] * height:.2e}"
    return text


def _last_rate(job: Job, step: int) -> tuple[int, float] | None:
    """The last step until this one whose learning rate is known, and the rate."""
    lines = (line for line in read_metrics(job.folder.metrics) if int(line["step"] or 0) <= step)
    known = [
        (int(n["step"] or 0), rate) for n in lines if (rate := n.get("learning_rate")) is not None
    ]
    return known[-1] if known else None


def _planned(before: Mapping[str, Any]) -> list[int]:
    """How long the schedule was until now."""
    config = before.get("config", {})
    found = (config.get("schedule") or {}).get("steps") or config.get("steps")
    return [found] if isinstance(found, int) else []


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)
