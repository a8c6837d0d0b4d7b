"""What right and predicted answers look like side by side, as JSON says it, for a report.

Of classes which were taken for which; of entities, tags or several classes how well each kind was
found; of amounts the pairs themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dslm.metrics.classification import confusion_matrix
from dslm.metrics.records import Scores, precision_recall_f1

MOST = 20
"""Classes that are shown by themselves, at most; the rarest are put together."""
POINTS = 500
"""Pairs of amounts that are shown, at most, evenly spread over the records."""

Analysis = dict[str, Any]


def confusion(gold: Sequence[int], found: Sequence[int], names: Sequence[str]) -> Analysis:
    """How often each class was taken for each: a row for a right one, columns for predicted ones.

    Args:
        gold: the numbers of the right classes.
        found: the numbers of the predicted ones.
        names: what they are called.
    """
    frequent = [number for number, _ in Counter(gold).most_common()]
    order = [*frequent, *(number for number in range(len(names)) if number not in set(frequent))]
    shown = sorted(order if len(names) <= MOST else order[: MOST - 1])
    others = len(names) - len(shown)
    place = {number: at for at, number in enumerate(shown)}
    count = len(shown) + bool(others)
    rows, columns = ([place.get(number, len(shown)) for number in side] for side in (gold, found))
    matrix = confusion_matrix(rows, columns, [*range(count)]).tolist()
    called = [names[number] for number in shown] + ([f"{others} others"] if others else [])
    return {"confusion": {"classes": called, "rows": matrix}}


def by_kind(counts: Mapping[str, tuple[int, int, int]]) -> Analysis:
    """How well each kind was found: precision, recall and F1, and how many there are to find.

    Args:
        counts: of each kind how many predicted ones are right, how many were predicted, and how
            many there are.
    """
    ordered = sorted(counts, key=lambda kind: (-counts[kind][2], kind))
    shown, rest = (
        (ordered, []) if len(ordered) <= MOST else (ordered[: MOST - 1], ordered[MOST - 1 :])
    )
    rows = [_row(kind, counts[kind]) for kind in shown]
    if rest:
        hits, predicted, gold = (sum(counts[kind][at] for kind in rest) for at in range(3))
        rows.append(_row(f"{len(rest)} others", (hits, predicted, gold)))
    return {"kinds": rows}


def amounts(gold: Sequence[float], found: Sequence[float]) -> Analysis:
    """Right amounts and predicted ones, those that are numbers."""
    pairs = np.array([gold, found], dtype=np.float64).T
    pairs = pairs[np.isfinite(pairs).all(1)]
    count = min(len(pairs), POINTS)
    return {"amounts": pairs[np.arange(count) * len(pairs) // max(1, count)].tolist()}


def _row(kind: str, counted: tuple[int, int, int]) -> list[Any]:
    scores: Scores = precision_recall_f1(*counted)
    return [kind, *scores, counted[2]]
