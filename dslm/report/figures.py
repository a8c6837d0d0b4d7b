"""The headline: did the run learn, how far did it come, how fast was it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median

from dslm.config.parse import parse
from dslm.errors import CheckpointError, ConfigError
from dslm.progress import duration, human
from dslm.report.record import Record
from dslm.report.results import rounded
from dslm.report.series import Point, series, settled, smoothing
from dslm.run.best import LOSS
from dslm.run.folder import RunFolder
from dslm.tasks.registry import ObjectiveConfig


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
    """The loss of a model that holds all V tokens for equally likely, ln V; `None` of vectors."""
    vocabulary = record.fact(int, "config", "model", "vocabulary")
    return math.log(vocabulary) if vocabulary and vocabulary > 0 and _token_loss(record) else None


def objective(record: Record) -> ObjectiveConfig:
    """What the model of a run learns to predict.

    Raises:
        CheckpointError: what `run.json` says of it is wrong.
    """
    try:
        return parse(ObjectiveConfig, record.fact(dict, "config", "objective") or {})
    except ConfigError as error:
        where = f"{RunFolder(record.folder).record}: config.objective."
        wrong = [replace(one, where=where + one.where, fix="") for one in error.problems]
        raise CheckpointError(*wrong) from None


def best(points: list[Point]) -> Point | None:
    """The lowest finite point; `None` where there is none."""
    return min((p for p in points if p.finite), key=lambda point: point.value, default=None)


def highest(points: list[Point]) -> Point | None:
    """The highest finite point; `None` where there is none."""
    return max((p for p in points if p.finite), key=lambda point: point.value, default=None)


def best_by(record: Record) -> str:
    """The metric of a task by which the best checkpoint is chosen; empty where it is the loss."""
    by = record.fact(str, "config", "best_by")
    return "" if by in (None, LOSS) else by


def verdict(record: Record) -> str:
    """The run in one or two sentences."""
    losses = series(record.log.training, "loss")
    evaluations = series(record.log.evaluations, "validation_loss")
    goal = record.fact(int, "config", "steps")
    extent = f"{losses[-1].step:,}" + (f" of {goal:,}" if goal else "")
    first, last = losses[0].value, losses[-1].value
    course = f"{extent} steps: training loss went from {first:.2f} to {last:.2f}"
    if evaluations:
        course += f", validation loss to {evaluations[-1].value:.2f}"
    uniform = uniform_loss(record)
    guess = f" A model that only guesses has a loss of {uniform:.2f}." if uniform else ""
    return f"{course}.{guess}{_broken(losses)}"


def _broken(losses: list[Point]) -> str:
    bad = [point for point in losses if not point.finite]
    return f" {len(bad):,} of {len(losses):,} logged losses are not finite." if bad else ""


def _losses(record: Record) -> list[Figure]:
    losses = series(record.log.training, "loss")
    reach = smoothing(losses)
    tail = f"{settled(losses):.4f} smoothed, {smoothed_as(reach)}" if reach else ""
    shown = [Figure("Training loss", f"{losses[-1].value:.4f}", tail)]
    evaluations = series(record.log.evaluations, "validation_loss")
    if evaluations:
        lowest = best(evaluations)
        hint = [f"best {lowest.value:.4f} at step {lowest.step:,}"] if lowest else []
        on = [f"on {name}"] if (name := validation_set(record)) else []
        value = f"{evaluations[-1].value:.4f}"
        shown.append(Figure("Validation loss", value, "; ".join([*on, *hint])))
    metrics = series(record.log.evaluations, f"validation_{best_by(record)}")
    if metrics:
        top = highest(metrics)
        text = f"best {top.value:.4f} at step {top.step:,}" if top else ""
        label = f"Validation {best_by(record).replace('_', ' ')}"
        shown.append(Figure(label, f"{metrics[-1].value:.4f}", text))
    return shown


def smoothed_as(reach: int) -> str:
    """What a curve smoothed over `reach` neighbours on either side is called everywhere."""
    return f"median of {2 * reach + 1:,} lines"


def validation_set(record: Record) -> str:
    """The folder of the set on which the validation loss is measured; empty where unknown."""
    return record.fact(str, "data", "validation", "folder") or ""


def _evaluation(record: Record) -> list[Figure]:
    """From the newest evaluation, one of unrounded weights where there is one.

    Without any, the perplexity of the last validation.
    """
    plain = [one for one in record.evaluations if not rounded(one)]
    found = (plain or record.evaluations or [{}])[-1]
    shown = []
    on = f" on {found['data']}" if "data" in found else ""
    if "loss" in found:
        over = [f"{human(found['tokens'])} tokens"] if "tokens" in found else []
        at = [f"at step {found['step']:,}"] if "step" in found else []
        few = [f"rounded to {way}"] if (way := rounded(found)) else []
        hint = ", ".join([*([on.strip()] if on else []), *over, *at, *few])
        shown.append(Figure("Evaluation loss", f"{found['loss']:.4f}", hint))
    if "perplexity" in found:
        shown.append(Figure("Perplexity", _perplexity(found["perplexity"]), f"evaluated{on}"))
    elif losses := series(record.log.evaluations, f"validation_{_token_loss(record)}"):
        perplexity = math.exp(min(losses[-1].value, 700))  # e to the 710 is beyond a float
        shown.append(Figure("Perplexity", _perplexity(perplexity), "of the last validation loss"))
    if "bits_per_byte" in found:
        shown.append(Figure("Bits per byte", f"{found['bits_per_byte']:.4f}", f"evaluated{on}"))
    return shown


def _perplexity(value: float) -> str:
    """As short as a loss; that of a run that diverged may have 300 digits."""
    return f"{value:,.2f}" if value < 1e6 else f"{value:.2e}"


def _token_loss(record: Record) -> str | None:
    """Which of its losses is in nats a token."""
    config = objective(record)
    return config.selected.token_loss(config.settings)


def _extent(record: Record) -> list[Figure]:
    shown = []
    tokens = series(record.log.training, "tokens")
    if tokens:
        shown.append(Figure("Tokens seen", human(tokens[-1].value), f"{tokens[-1].value:,.0f}"))
    if record.log.seconds:
        restarts = len(record.log.resumes)
        hint = f"of training, in {restarts + 1} starts" if restarts else "of training"
        shown.append(Figure("Time", duration(record.log.seconds), hint))
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
        shown.append(
            Figure("Memory per rank", f"{max(memory):.2f} GiB", "of the first, highest of any step")
        )
    return shown
