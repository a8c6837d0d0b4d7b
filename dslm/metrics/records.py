"""What all metrics ask of their records, and precision, recall and F1 from counts."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dslm.errors import DataError, Problem


class Scores(NamedTuple):
    """Precision, recall and their harmonic mean (van Rijsbergen 1979), each in [0, 1]."""

    precision: float
    recall: float
    f1: float


def check(gold: Sized, predicted: Sized, least: int = 1) -> None:
    """Whether two lists can be of the same records.

    Args:
        gold: what is right.
        predicted: what was predicted for the same records, in the same order.
        least: how many records a metric needs.

    Raises:
        DataError: they differ in length, or are fewer than `least`.
    """
    if len(gold) != len(predicted):
        rule = f"as many as there are right answers, {len(gold)}"
        raise DataError(Problem("predictions", len(predicted), rule, "predict for every record"))
    if len(gold) < least:
        rule = f"the metric is defined for {least} or more"
        raise DataError(Problem("records", len(gold), rule, "give a file with more records"))


def arrays(
    gold: npt.ArrayLike, predicted: npt.ArrayLike, least: int = 1
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Both as arrays, for metrics whose records are numbers, labels or rows of flags.

    Raises:
        DataError: as in `check`, or their shapes differ, which would otherwise be broadcast.
    """
    gold, predicted = np.asarray(gold), np.asarray(predicted)
    check(gold, predicted, least)
    if gold.shape != predicted.shape:
        rule = f"of the shape of the right answers, {gold.shape}"
        raise DataError(Problem("predictions", predicted.shape, rule))
    return gold, predicted


def precision_recall_f1(hits: int, predicted: int, gold: int) -> Scores:
    """Scores of counts; a ratio whose denominator is 0 is 0, as in scikit-learn and seqeval.

    Args:
        hits: how many of the predicted ones are right.
        predicted: how many were predicted.
        gold: how many there are to find.
    """
    precision = hits / predicted if predicted else 0.0
    recall = hits / gold if gold else 0.0
    total = precision + recall
    return Scores(precision, recall, 2 * precision * recall / total if total else 0.0)
