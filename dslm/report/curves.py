"""Which charts a run has: the loss, its second half alone, and each other quantity it logged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dslm.report.chart import Chart, Line, Note
from dslm.report.figures import best, uniform_loss
from dslm.report.record import Record
from dslm.report.series import series, smooth, smoothing


def charts(record: Record) -> list[Chart]:
    """The charts of a run, the main one first."""
    losses = _curves(record, "loss", "training")
    evaluations = series(record.log.evaluations, "validation_loss")
    if evaluations:
        losses.append(Line("validation", evaluations, "validation dots"))
    half = _second_half(record, losses)
    return [_loss(record, losses), *half, *_answers(record), *_others(record)]


def _loss(record: Record, losses: list[Line]) -> Chart:
    """All of it, against what a model that knows nothing would score."""
    notes = []
    lowest = best(series(record.log.evaluations, "validation_loss"))
    if lowest:
        notes.append(Note(f"best {lowest.value:.4f}", lowest.value, lowest.step))
    uniform = uniform_loss(record)
    if uniform:
        notes.append(Note(f"uniform guessing, ln V = {uniform:.2f}", uniform))
    return Chart("Loss", "nats a token", losses, notes, record.log.resumes, zero=False, wide=True)


def _second_half(record: Record, losses: list[Line]) -> Iterator[Chart]:
    """Without the raw curve, whose spikes belong to the main chart: on a scale of its own."""
    middle = record.log.training[-1].step // 2
    shown = [
        replace(line, points=[point for point in line.points if point.step >= middle])
        for line in losses
        if "raw" not in line.look
    ]
    if len(shown) == len(losses):  # too short a run for a smoothed curve, or for a close look
        return
    resumes = [step for step in record.log.resumes if step >= middle]
    unit = f"nats a token, training as {shown[0].name}"
    lines = [line for line in shown if line.points]
    yield Chart("Loss, second half", unit, lines, (), resumes, zero=False, first=middle)


def _answers(record: Record) -> Iterator[Chart]:
    """How often an objective's questions were answered right, each kind of question by itself."""
    logged = {key for entry in record.log.training for key in entry.values}
    for key in sorted(key for key in logged if key.endswith("_accuracy")):
        lines = _curves(record, key, "training")
        if held_out := series(record.log.evaluations, f"validation_{key}"):
            lines.append(Line("validation", held_out, "validation dots"))
        title = key.replace("_", " ").capitalize()
        yield Chart(title, "share of right answers", lines, (), record.log.resumes)


def _others(record: Record) -> Iterator[Chart]:
    clip = record.fact("deepspeed", "gradient_clipping")
    limit = [Note(f"clipped above {clip:g}", clip)] if clip else []
    for key, title, unit, notes in (
        ("gradient_norm", "Gradient norm", "before clipping", limit),
        ("tokens_per_second", "Throughput", "tokens a second", []),
        ("learning_rate", "Learning rate", "", []),
    ):
        lines = _curves(record, key, title.lower())
        if lines:
            yield Chart(title, unit, lines, notes, record.log.resumes)


def _curves(record: Record, key: str, name: str) -> list[Line]:
    """A quantity as it was logged and, where it is noisy and long enough, its median."""
    points = series(record.log.training, key)
    reach = smoothing(points)
    if not points or not reach or key == "learning_rate":
        return [Line(name, points, "train")] if points else []
    median = Line(f"median of {2 * reach + 1} lines", smooth(points), "train")
    return [Line(name, points, "train raw"), median]
