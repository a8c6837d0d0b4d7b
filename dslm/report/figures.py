"""The headline: did the run learn, how far did it come, how fast was it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from dslm.config.parse import parse
from dslm.objectives.registry import ObjectiveConfig
from dslm.progress import duration, human
from dslm.report.record import Record
from dslm.report.series import Point, series, settled, smoothing


@dataclass(frozen=True)
class Figure:
    """One number of the headline."""

    label: str
    value: str
    hint: str = ""


def figures(record: Record) -> list[Figure]:
    """The numbers of the headline; those the run folder does not hold are left out."""
    return [*_losses(record), *_evaluation(record), *_extent(record), *_speed(record)]


def uniform_loss(record: Record) -> float | None:
    """The loss of a model that holds all V tokens for equally likely: ln V."""
    vocabulary = record.fact("config", "model", "vocabulary")
    return math.log(vocabulary) if vocabulary else None


def best(points: list[Point]) -> Point | None:
    """The lowest finite point; `None` where there is none."""
    return min((p for p in points if p.finite), key=lambda point: point.value, default=None)


def verdict(record: Record) -> str:
    """The run in one or two sentences."""
    losses = series(record.log.training, "loss")
    evaluations = series(record.log.evaluations, "validation_loss")
    goal = record.fact("config", "steps")
    extent = f"{losses[-1].step:,}" + (f" of {goal:,}" if goal else "")
    first, last = losses[0].value, losses[-1].value
    course = f"{extent} steps: training loss went from {first:.2f} to {last:.2f}"
    if evaluations:
        course += f", validation loss to {evaluations[-1].value:.2f}"
    uniform = uniform_loss(record)
    guess = f" Guessing uniformly costs {uniform:.2f}." if uniform else ""
    return f"{course}.{guess}{_broken(losses)}"


def _broken(losses: list[Point]) -> str:
    bad = [point for point in losses if not point.finite]
    return f" {len(bad):,} of {len(losses):,} logged losses are not finite." if bad else ""


def _losses(record: Record) -> list[Figure]:
    losses = series(record.log.training, "loss")
    reach = smoothing(losses)
    tail = f"{settled(losses):.4f} median of the last {reach + 1} lines" if reach else ""
    shown = [Figure("Training loss", f"{losses[-1].value:.4f}", tail)]
    evaluations = series(record.log.evaluations, "validation_loss")
    if evaluations:
        lowest = best(evaluations)
        hint = f"best {lowest.value:.4f} at step {lowest.step:,}" if lowest else ""
        shown.append(Figure("Validation loss", f"{evaluations[-1].value:.4f}", hint))
    return shown


def _evaluation(record: Record) -> list[Figure]:
    """From `evaluation.json`; without it the perplexity of the last validation."""
    found = record.evaluation
    shown = []
    if "loss" in found:
        hint = f"over {human(found['tokens'])} tokens" if "tokens" in found else ""
        shown.append(Figure("Evaluation loss", f"{found['loss']:.4f}", hint))
    if "perplexity" in found:
        shown.append(Figure("Perplexity", f"{found['perplexity']:.2f}", "of the evaluation"))
    elif losses := series(record.log.evaluations, f"validation_{_token_loss(record)}"):
        perplexity = math.exp(min(losses[-1].value, 700))  # e to the 710 is beyond a float
        shown.append(Figure("Perplexity", f"{perplexity:.2f}", "of the last validation"))
    if "bits_per_byte" in found:
        value = f"{found['bits_per_byte']:.4f}"
        shown.append(Figure("Bits per byte", value, "of the evaluation"))
    return shown


def _token_loss(record: Record) -> str | None:
    """Which of its losses is in nats a token."""
    config = parse(ObjectiveConfig, record.fact("config", "objective") or {})
    return config.selected.token_loss(config.settings)


def _extent(record: Record) -> list[Figure]:
    shown = []
    tokens = series(record.log.training, "tokens")
    if tokens:
        shown.append(Figure("Tokens seen", human(tokens[-1].value), f"{tokens[-1].value:,.0f}"))
    if record.log.seconds:
        restarts = len(record.log.resumes)
        hint = f"in {restarts + 1} processes" if restarts else ""
        shown.append(Figure("Wall time", duration(record.log.seconds), hint))
    return shown


def _speed(record: Record) -> list[Figure]:
    log = record.log.training
    shown = []
    for key, label, unit, hint in (
        ("tokens_per_second", "Tokens per second", 1, "median"),
        ("mfu", "MFU", 100, "median"),
    ):
        values = [point.value for point in series(log, key) if point.finite]
        if values:
            middle = unit * median(values)
            value = human(middle) if unit == 1 else f"{middle:.1f} %"
            shown.append(Figure(label, value, hint))
    memory = [point.value for point in series(log, "memory_gib") if point.finite]
    if memory:
        shown.append(Figure("Memory", f"{max(memory):.2f} GiB", "highest of any step"))
    return shown
