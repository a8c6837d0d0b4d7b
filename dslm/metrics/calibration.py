"""How far a model's confidence is from how often it is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.metrics.records import arrays

Reals = npt.NDArray[np.float64]


class Reliability(NamedTuple):
    """The predictions in bins of equal width; shapes [bins], means 0 where a bin is empty."""

    counts: Int64Array
    confidence: Reals
    """The mean confidence of those in the bin."""
    accuracy: Reals
    """The share of them that is right."""


def reliability(confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int) -> Reliability:
    """What a reliability diagram shows (Guo et al. 2017, section 2).

    Args:
        confidence: the probability of what was predicted, shape [N], in [0, 1].
        correct: whether it was right, shape [N].
        bins: how many, the m-th from (m - 1) / bins, without it, to m / bins; 0 is in the first.

    Raises:
        DataError: no record, shapes that differ, or a confidence outside [0, 1].
    """
    correct, confidence = (each.astype(np.float64) for each in arrays(correct, confidence))
    if strange := confidence[~((confidence >= 0) & (confidence <= 1))].tolist():
        raise DataError(Problem("confidence", strange[0], "a probability, from 0 to 1"))
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    places = np.searchsorted(edges, confidence, side="left")
    counts = np.bincount(places, minlength=bins)
    sums = (np.bincount(places, each, minlength=bins) for each in (confidence, correct))
    return Reliability(counts, *(each / np.maximum(counts, 1) for each in sums))


def expected_calibration_error(
    confidence: npt.ArrayLike, correct: npt.ArrayLike, bins: int
) -> float:
    """Guo et al. 2017, equation 3: mean distance of confidence and accuracy, in [0, 1].

    Takes what `reliability` takes, with the same errors.
    """
    binned = reliability(confidence, correct, bins)
    distance = np.abs(binned.accuracy - binned.confidence)
    return float((binned.counts * distance).sum() / binned.counts.sum())
