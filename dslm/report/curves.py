"""Which charts a run has: the loss, its second half alone, and each other quantity it logged.

Several runs have the same charts, laid over each other: see `dslm.report.comparison`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dslm.report.chart import Chart, Line, Note
from dslm.report.figures import best, best_by, highest, smoothed_as, uniform_loss
from dslm.report.record import Record
from dslm.report.series import Point, series, smooth, smoothing

SHARES = {"l": 200, "m": 50, "s": 10}
"""Which share of a curve is a neighbour on either side, by the choice of smoothing."""
QUANTITIES = {
    "gradient_norm": ("Gradient norm", "before clipping"),
    "tokens_per_second": ("Throughput", "tokens a second"),
    "learning_rate": ("Learning rate", ""),
    "router_balance_loss": ("Balance of experts", "1 = even"),
    "largest_expert_share": ("Busiest expert", "largest share of a block's choices"),
}
"""What else is logged: titles and units."""
EXACT = ("learning_rate",)
"""Of these those without noise, which are not smoothed."""


def charts(record: Record) -> list[Chart]:
    """The charts of a run, the main one first."""
    losses = curves(record, "loss", "training")
    evaluations = series(record.log.evaluations, "validation_loss")
    if evaluations:
        losses.append(Line("validation", evaluations, "validation dots"))
    half = second_half(losses, record.log.resumes)
    return [_loss(record, losses), *half, *_answers(record), *_others(record)]


def curves(record: Record, key: str, name: str) -> list[Line]:
    """A quantity as it was logged and, where it is noisy and long enough, its medians."""
    points = series(record.log.training, key)
    if not points or key in EXACT or not smoothing(points):
        return [Line(name, points, "train")] if points else []
    return [Line(name, points, "train raw"), *smoothed(points)]


def smoothed(points: list[Point]) -> Iterator[Line]:
    """A curve at each strength of smoothing; one that would change nothing is left out."""
    for letter, share in SHARES.items():
        reach = smoothing(points, share)
        if reach:
            yield Line(smoothed_as(reach), smooth(points, share), "train", "smooth", letter)


def _loss(record: Record, losses: list[Line]) -> Chart:
    """All of it, against what a model that knows nothing would score."""
    notes = []
    lowest = best(series(record.log.evaluations, "validation_loss"))
    if lowest:
        text = f"best validation, {lowest.value:.4f} at step {lowest.step:,}"
        notes.append(Note(text, lowest.value, lowest.step))
    uniform = uniform_loss(record)
    if uniform:
        notes.append(Note(f"guessing, ln V = {uniform:.2f}", uniform))
    unit = "nats a token" if uniform else ""
    return Chart("Loss", unit, losses, notes, record.log.resumes, zero=False, wide=True)


def second_half(losses: list[Line], resumes: Sequence[int], legend: bool = True) -> Iterator[Chart]:
    """Without raw curves, whose spikes belong to the main chart: on a scale of its own.

    Nothing where no curve is smoothed: too short a run for a close look.
    """
    middle = max(line.points[-1].step for line in losses) // 2
    smooth = [line for line in losses if "raw" not in line.look]
    shown = [replace(line, points=[p for p in line.points if p.step >= middle]) for line in smooth]
    lines = [line for line in shown if line.points]
    if len(smooth) < len(losses) and lines:
        later = [step for step in resumes if step >= middle]
        title = "Loss, second half"
        yield Chart(title, "", lines, (), later, zero=False, first=middle, legend=legend)


def _answers(record: Record) -> Iterator[Chart]:
    """How right answers were: each accuracy, and each metric of a task, by itself."""
    logged = {key for entry in record.log.training for key in entry.values}
    measured = {key for entry in record.log.evaluations for key in entry.values}
    held_out = {
        key.removeprefix("validation_") for key in measured if key.startswith("validation_")
    }
    answers = {key for key in logged if key.endswith("_accuracy")}
    for key in sorted(answers | {key for key in held_out if not key.endswith("loss")}):
        lines, notes = curves(record, key, "training"), []
        if points := series(record.log.evaluations, f"validation_{key}"):
            lines.append(Line("validation", points, "validation dots"))
            if key == best_by(record) and (top := highest(points)):
                text = f"best, {top.value:.4f} at step {top.step:,}"
                notes.append(Note(text, top.value, top.step))
        title = key.replace("_", " ").capitalize()
        unit = "share of right answers" if key.endswith("accuracy") else ""
        yield Chart(title, unit, lines, notes, record.log.resumes)


def _others(record: Record) -> Iterator[Chart]:
    clip = record.fact(float, "deepspeed", "gradient_clipping")
    limits = {"gradient_norm": [Note(f"clipped above {clip:g}", clip)]} if clip else {}
    for key, (title, unit) in QUANTITIES.items():
        lines = curves(record, key, title.lower())
        if lines:
            yield Chart(title, unit, lines, limits.get(key, []), record.log.resumes)
