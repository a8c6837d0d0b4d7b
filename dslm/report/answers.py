"""What a model of a task got right and wrong, from the newest evaluation that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dslm.errors import DataError, Problem
from dslm.progress import counted
from dslm.report.axis import linear_axis
from dslm.report.chart import figure
from dslm.report.record import Record
from dslm.report.results import rounded
from dslm.run.results import ANSWERS

LONGEST = 40
"""Letters of the name of a class."""
KINDS = ("", "precision", "recall", "F1", "count")


class Cell(NamedTuple):
    """How often one class was taken for another."""

    text: str
    share: str
    """Of the row, from 0 to 1."""
    right: bool


class Row(NamedTuple):
    """A right class."""

    name: str
    cells: Sequence[Cell]
    total: str


@dataclass(frozen=True)
class Confusion:
    """Rows are right classes, columns predicted ones."""

    classes: Sequence[str]
    rows: Sequence[Row]


@dataclass(frozen=True)
class Scatter:
    """Right amounts from left to right, predicted ones from below, in a box of 1000 by 1000."""

    path: str
    ends: Sequence[str]
    """The amounts at both ends of both axes."""


class Wrong(NamedTuple):
    """A record that was answered wrong."""

    text: str
    right: str
    predicted: str
    loss: str


@dataclass(frozen=True)
class Section:
    """What is shown of it."""

    verdict: str
    confusion: Confusion | None
    kinds: Sequence[Sequence[str]]
    """A table, its head first; empty where there is none."""
    scatter: Scatter | None
    wrong: Sequence[Wrong]


def section(record: Record) -> Section | None:
    """What to show; `None` where no task was evaluated.

    Raises:
        DataError: what was kept is of another form.
    """
    kept = [one for one in record.evaluations if ANSWERS in one]
    if not kept:
        return None
    try:
        return _section(kept[-1])
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        where, fix = "evaluations.jsonl: answers", "run launch/evaluate.py again"
        raise DataError(Problem(where, None, "is of another form", fix)) from error


def _section(one: Mapping[str, Any]) -> Section:
    found, step = one[ANSWERS], one.get("step", 0)
    count, wrong = int(found["records"]), int(found["wrong"])
    records = f"{counted(count, 'record')} of {one.get('data', 'a set')}"
    said = f"answered {wrong:,} of {records} wrong"
    if "amounts" in found:
        said = f"predicted the amounts of {records}"
    way = f", rounded to {few}," if (few := rounded(one)) else ""
    return Section(
        verdict=f"The model of step {step:,}{way} {said}.",
        confusion=_confusion(**found["confusion"]) if "confusion" in found else None,
        kinds=[KINDS, *map(_kind, found["kinds"])] if found.get("kinds") else [],
        scatter=_scatter(found["amounts"]) if found.get("amounts") else None,
        wrong=[
            Wrong(
                str(each["text"]),
                str(each["right"]),
                str(each["predicted"]),
                f"{float(each['loss']):.2f}",
            )
            for each in found["errors"]
        ],
    )


def _confusion(classes: Sequence[str], rows: Sequence[Sequence[int]]) -> Confusion:
    names = [_short(name) for name in classes]
    made = []
    for number, (name, counts) in enumerate(zip(names, rows, strict=True)):
        total = sum(counts)
        cells = [
            Cell(f"{count:,}" if count else "", f"{count / max(total, 1):.3f}", at == number)
            for at, count in enumerate(counts)
        ]
        if len(cells) != len(names):
            raise ValueError(f"{len(cells)} columns for {len(names)} classes")
        made.append(Row(name, cells, f"{total:,}"))
    return Confusion(names, made)


def _kind(row: Sequence[Any]) -> list[str]:
    name, precision, recall, f1, count = row
    scores = (f"{float(score):.3f}" for score in (precision, recall, f1))
    return [_short(name), *scores, f"{int(count):,}"]


def _scatter(pairs: Sequence[Sequence[float]]) -> Scatter:
    sides = [[float(pair[side]) for pair in pairs] for side in range(2)]
    axis = linear_axis([*sides[0], *sides[1]], 5, False)
    points = (
        f"M{round(1000 * axis.fraction(right))} {round(1000 - 1000 * axis.fraction(found))}h0"
        for right, found in zip(*sides, strict=True)
    )
    return Scatter("".join(points), [figure(axis.low), figure(axis.high)])


def _short(name: object) -> str:
    text = str(name)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
