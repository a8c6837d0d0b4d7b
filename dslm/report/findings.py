"""Was anything odd? What a careful reader would notice in the curves, found by stated rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from dslm.files.typed import typed
from dslm.progress import counted
from dslm.report.chart import figure
from dslm.report.figures import best, uniform_loss
from dslm.report.record import Record
from dslm.report.series import Point, series, settled
from dslm.run.learning import LOWER, judge_loss, norms_diverged

SPIKE = 1.3
"""A loss is a spike above so many times the median of the `BEFORE` losses before it."""
BEFORE = 25
SLOW = 0.5
"""A step is slow below this share of the median tokens a second."""
RISEN = 1.01
"""Validation loss has turned when it ends above so many times its best."""


@dataclass(frozen=True)
class Finding:
    """Something worth a second look."""

    level: str
    """``bad`` (the run is broken), ``look`` (may be a problem) or ``note``."""
    title: str
    text: str


def findings(record: Record) -> list[Finding]:
    """Everything odd about a run, the worst first; empty where nothing is."""
    losses = series(record.log.training, "loss")
    checks = (
        _not_finite(losses),
        _not_learnt(record, losses),
        _turned(series(record.log.evaluations, "validation_loss")),
        _spikes(losses),
        _slow(series(record.log.training, "tokens_per_second")),
        _skipped(series(record.log.training, "skipped_steps")),
        _not_saved(record.fact(list, "failed_saves") or []),
        _resumed(record.log.resumes),
        _unreadable(record.log.unreadable),
    )
    return [finding for finding in checks if finding]


def _not_finite(losses: Sequence[Point]) -> Finding | None:
    bad = [point for point in losses if not point.finite]
    if not bad:
        return None
    text = f"{len(bad):,} of {len(losses):,} logged losses, the first at step {bad[0].step:,}."
    return Finding("bad", "Loss not finite", text)


def _not_learnt(record: Record, losses: Sequence[Point]) -> Finding | None:
    """The loss against that of guessing, and whether the gradient has become infinite."""
    last, uniform, step = settled(losses), uniform_loss(record), losses[-1].step
    vocabulary = record.fact(int, "config", "model", "vocabulary")
    steps = record.fact(int, "config", "steps") or step
    said = judge_loss(last, vocabulary, step, steps) if vocabulary and uniform else None
    if said == "diverged":
        text = f"The loss, {last:.2f}, is far above that of guessing, {uniform:.2f}: {LOWER}."
        return Finding("bad", "Diverged", text)
    if norms_diverged([point.value for point in series(record.log.training, "gradient_norm")]):
        return Finding("bad", "Diverged", f"The gradient's norm is no longer finite: {LOWER}.")
    if said is None:
        return None
    text = f"The loss, {last:.2f}, is barely below that of guessing, {uniform:.2f}: look at the "
    return Finding("look", "Little learnt", f"{text}data and the learning rate.")


def _turned(evaluations: list[Point]) -> Finding | None:
    lowest = best(evaluations)
    if lowest is None or not evaluations[-1].value > RISEN * lowest.value:
        return None
    text = (
        f"Validation loss was best, {lowest.value:.4f}, at step {lowest.step:,} and ended at "
        f"{evaluations[-1].value:.4f}."
    )
    return Finding("look", "Validation loss rose", text)


def _spikes(losses: Sequence[Point]) -> Finding | None:
    finite = [point for point in losses if point.finite]
    spikes = [
        point
        for i, point in enumerate(finite)
        if i >= BEFORE and point.value > SPIKE * median(p.value for p in finite[i - BEFORE : i])
    ]
    if not spikes:
        return None
    worst = max(spikes, key=lambda point: point.value)
    text = (
        f"{counted(len(spikes), 'line')} above {SPIKE} × the median of the {BEFORE} lines before; "
        f"the highest, {worst.value:.2f}, at step {worst.step:,}."
    )
    return Finding("look", "Loss spikes", text)


def _slow(speeds: Sequence[Point]) -> Finding | None:
    """The first line of a process is left out: it holds the warm-up."""
    steady = [b for a, b in pairwise(speeds) if a.leg == b.leg and b.finite]
    middle = median(point.value for point in steady) if steady else 0.0
    slow = [point for point in steady if point.value < SLOW * middle]
    if not slow:
        return None
    worst = min(slow, key=lambda point: point.value)
    text = (
        f"{counted(len(slow), 'line')} below half the median of {figure(middle)} tokens a second; "
        f"the lowest, {figure(worst.value)}, at step {worst.step:,}."
    )
    return Finding("look", "Slow steps", text)


def _skipped(counts: Sequence[Point]) -> Finding | None:
    if not counts or not counts[-1].finite or not counts[-1].value:
        return None
    steps = counted(int(counts[-1].value), "step")
    return Finding("note", "Skipped steps", f"float16's loss scale left out {steps}.")


def _not_saved(failed: Sequence[object]) -> Finding | None:
    saves = [one for one in failed if isinstance(one, dict)]
    steps = [step for one in saves if (step := typed(one.get("step"), int)) is not None]
    if not steps:
        return None
    shown = ", ".join(f"{step:,}" for step in steps[:8]) + (", …" if len(steps) > 8 else "")
    text = f"Those of step {shown} could not be written; the last time: {saves[-1].get('reason')}."
    return Finding("look", "Checkpoints missing", text)


def _resumed(resumes: Sequence[int]) -> Finding | None:
    if not resumes:
        return None
    shown = ", ".join(f"{step:,}" for step in resumes[:8]) + (", …" if len(resumes) > 8 else "")
    return Finding("note", "Resumed", f"after step {shown}.")


def _unreadable(lines: int) -> Finding | None:
    if not lines:
        return None
    text = f"{lines} in metrics.jsonl, as a killed process leaves behind; left out here."
    return Finding("note", "Unreadable lines", text)
