"""Scores of classes: one for each record, or several. Equal to scikit-learn's.

Labels are numbers or words. A class counts if it occurs, as the right one or as a predicted one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.metrics.records import arrays

Labels = npt.ArrayLike


def accuracy(gold: Labels, predicted: Labels) -> float:
    """The share of records with the right class; shapes [N].

    Raises:
        DataError: no record, or predictions of another shape; so for all metrics here.
    """
    gold, predicted = arrays(gold, predicted)
    return float((gold == predicted).mean())


def confusion_matrix(gold: Labels, predicted: Labels, classes: Labels | None = None) -> Int64Array:
    """How many records of each class were given each class.

    Args:
        gold: shape [N].
        predicted: shape [N].
        classes: in which order they are shown; without it all that occur, sorted.

    Returns:
        Shape [classes, classes]: a row for each right class, a column for each predicted one.

    Raises:
        DataError: also, when a label is none of the classes.
    """
    gold, predicted = arrays(gold, predicted)
    found, places = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
    order = found if classes is None else np.asarray(classes)
    place_of = {label: place for place, label in enumerate(order.tolist())}
    if strange := [label for label in found.tolist() if label not in place_of]:
        rule = f"not one of the classes {', '.join(map(str, place_of))}"
        raise DataError(*(Problem("label", label, rule) for label in strange))
    rows, columns = np.array([place_of[label] for label in found.tolist()])[places].reshape(2, -1)
    cells = np.bincount(rows * len(order) + columns, minlength=len(order) ** 2)
    return cells.reshape(len(order), len(order)).astype(np.int64)


def macro_f1(gold: Labels, predicted: Labels) -> float:
    """The mean of the F1 of each class (Lewis et al. 1996); 0 for one that is never right."""
    matrix = confusion_matrix(gold, predicted)
    return _mean_f1(matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1))


def matthews(gold: Labels, predicted: Labels) -> float:
    """The correlation of Matthews (1975), for any number of classes (Gorodkin 2004), in [-1, 1].

    It is 0 when all are of one class, or all predicted as one: nothing can correlate then.
    """
    matrix = confusion_matrix(gold, predicted)
    right, given = (matrix.sum(axis=axis, dtype=np.float64) for axis in (1, 0))
    records = given.sum()
    spread = (records**2 - given @ given) * (records**2 - right @ right)
    if spread == 0:
        return 0.0
    return float((matrix.trace() * records - right @ given) / np.sqrt(spread))


def subset_accuracy(gold: Labels, predicted: Labels) -> float:
    """The share of records all of whose labels are right, and none is missing.

    Args:
        gold: what applies, shape [N, labels], true or false; so for the metrics below.
        predicted: what was predicted, the same shape.
    """
    gold, predicted = _flags(gold, predicted)
    return float((gold == predicted).all(axis=1).mean())


def multilabel_micro_f1(gold: Labels, predicted: Labels) -> float:
    """The F1 of all decisions together; 0 when nothing applies and nothing was predicted."""
    gold, predicted = _flags(gold, predicted)
    hits, given, right = (flags.sum(keepdims=True) for flags in (gold & predicted, predicted, gold))
    return _mean_f1(hits.ravel(), given.ravel(), right.ravel())


def multilabel_macro_f1(gold: Labels, predicted: Labels) -> float:
    """The mean of the F1 of each label; 0 for one that neither applies nor was predicted."""
    gold, predicted = _flags(gold, predicted)
    return _mean_f1((gold & predicted).sum(0), predicted.sum(0), gold.sum(0))


def _mean_f1(hits: Int64Array, predicted: Int64Array, gold: Int64Array) -> float:
    """Twice the hits over all that were predicted and all there are, its mean; 0 for 0 / 0."""
    both = predicted + gold
    return float((2.0 * hits / np.where(both == 0, 1, both)).mean())


def _flags(gold: Labels, predicted: Labels) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    gold, predicted = arrays(gold, predicted)
    return gold.astype(bool), predicted.astype(bool)
