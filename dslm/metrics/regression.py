"""Correlations of predicted numbers with the right ones. Equal to SciPy's, but for rounding."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dslm.metrics.records import arrays

Reals = npt.NDArray[np.float64]


def pearson(gold: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The linear correlation (Pearson 1895), in [-1, 1]; shapes [N].

    Not a number when one side is constant, as in SciPy: no correlation is defined then.

    Raises:
        DataError: fewer than two records, or predictions of another shape.
    """
    sides = [side.astype(np.float64) for side in arrays(gold, predicted, least=2)]
    if any((side == side[0]).all() for side in sides):
        return float("nan")
    first, second = (_direction(side) for side in sides)
    return float(np.clip(first @ second, -1.0, 1.0))


def spearman(gold: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """The correlation of the ranks (Spearman 1904), equal numbers having the mean of their ranks.

    Not a number, and an error, where `pearson` is.
    """
    return pearson(ranks(np.asarray(gold)), ranks(np.asarray(predicted)))


def ranks(values: npt.NDArray[np.generic]) -> Reals:
    """The rank of each of N numbers from 1 on, equal ones averaged (Kendall 1945); shape [N]."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Reals = (2 * last - counts + 1) / 2
    return mean[places]


def _direction(values: Reals) -> Reals:
    """Values about their mean, scaled first, so that no square overflows; of length 1."""
    centred = values - values.mean()
    centred /= np.abs(centred).max()
    unit: Reals = centred / np.linalg.norm(centred)
    return unit
