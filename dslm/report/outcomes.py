"""The results of several runs side by side, with the best of each kind where they are comparable.

Losses are comparable where they are of the same objective and the same tokens: held-out ones of the
same shard set, those of training of the same data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from dslm.progress import duration, human
from dslm.report.figures import objective
from dslm.report.record import Record
from dslm.report.results import rounded
from dslm.report.series import series
from dslm.report.summary import Summary

Show = Callable[[float], str]


class Cell(NamedTuple):
    """One result of one run."""

    text: str
    """Empty where the run has none."""
    best: bool


class Outcome(NamedTuple):
    """One kind of result, of every run."""

    name: str
    cells: list[Cell]


def outcomes(records: Sequence[Record], found: Sequence[Summary]) -> list[Outcome]:
    """The results of runs, kind by kind; those that no run has are left out."""
    made = [_outcome(*column) for column in _columns(records, found)]
    return [outcome for outcome in made if any(cell.text for cell in outcome.cells)]


def remarks(records: Sequence[Record]) -> list[str]:
    """Why some results are not ranked."""
    if not same_objective(records):
        return ["The objectives differ, so no loss is marked as the best."]
    said = []
    if not same_validation(records):
        said.append("The validation sets differ, so no validation loss is marked as the best.")
    if not same_training(records):
        said.append("The training data differ, so no training loss is marked as the best.")
    return said


def same_objective(records: Sequence[Record]) -> bool:
    """Whether the losses of all runs are of the same kind, with the same settings."""
    found = [objective(record) for record in records]
    return all((one.kind, one.settings) == (found[0].kind, found[0].settings) for one in found)


def same_validation(records: Sequence[Record]) -> bool:
    """Whether all runs that measured a validation loss did so on the same set."""
    measured = [one for one in records if series(one.log.evaluations, "validation_loss")]
    return len({str(_validation(record)) for record in measured}) <= 1


def same_training(records: Sequence[Record]) -> bool:
    """Whether all runs read the same shard sets."""
    return len({str(record.fingerprints("train")) for record in records}) <= 1


def _validation(record: Record) -> tuple[list[str], Any]:
    rows = record.fact(int, "config", "data", "validation_windows")
    return record.fingerprints("validation"), rows


def _columns(
    records: Sequence[Record], found: Sequence[Summary]
) -> Iterator[tuple[str, list[float | None], Show, Callable[[Sequence[float]], float] | None]]:
    """Names, values, how they are written, and which is the best."""
    same = same_objective(records)
    held_out = min if same and same_validation(records) else None
    learnt = min if same and same_training(records) else None
    yield "steps", [float(one.step) for one in found], "{:,.0f}".format, None
    yield "training loss, smoothed", [one.loss for one in found], "{:.4f}".format, learnt
    lowest = [one.validation.value if one.validation else None for one in found]
    yield "best validation loss", lowest, "{:.4f}".format, held_out
    at = [float(one.validation.step) if one.validation else None for one in found]
    yield "… at step", at, "{:,.0f}".format, None
    for data, losses in _evaluated(records):
        yield f"loss on {data}", losses, "{:.4f}".format, min if same else None
    yield "tokens a second", [one.tokens_per_second for one in found], human, max
    memory = [_highest(record, "memory_gib") for record in records]
    yield "memory per rank, GiB", memory, "{:.2f}".format, min
    yield "time of training", [one.seconds or None for one in found], duration, None


def _evaluated(records: Sequence[Record]) -> Iterator[tuple[str, list[float | None]]]:
    """The newest loss of each run on each shard set on which several were evaluated."""
    losses: dict[str, dict[int, float]] = {}
    names: dict[str, str] = {}
    for i, record in enumerate(records):
        for one in record.evaluations:
            if "fingerprint" in one and not rounded(one):
                losses.setdefault(one["fingerprint"], {})[i] = one["loss"]
                names[one["fingerprint"]] = str(one.get("data", ""))
    for text, each in losses.items():
        if len(each) > 1:
            yield names[text], [each.get(i) for i in range(len(records))]


def _highest(record: Record, key: str) -> float | None:
    return max((p.value for p in series(record.log.training, key) if p.finite), default=None)


def _outcome(
    name: str,
    values: Sequence[float | None],
    show: Show,
    choose: Callable[[Sequence[float]], float] | None,
) -> Outcome:
    known = [value for value in values if value is not None and math.isfinite(value)]
    top = choose(known) if choose is not None and len(set(known)) > 1 else None
    texts = ["" if value is None else show(value) for value in values]
    first = show(top) if top is not None and len({*texts} - {""}) > 1 else None
    return Outcome(name, [Cell(text, text == first) for text in texts])
