"""Intervals of any metric by drawing its records again, and whether one system beats another.

The metric is a function of an array with a row for each record: pairs of labels, counts of
entities, statistics of n-grams, scores. It is computed of as many rows drawn with replacement, and
again, and the interval is where most of these values lie. Rows are functions of (seed, resample,
place), by a generator that computes any of its numbers at once (Philox, Salmon et al. 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.metrics.records import check

Records = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]
Metric = Callable[[Records], float]

HALF = np.uint64(32)
"""Bits of a random number that choose a row: the upper half of 64."""

LEVEL = 95.0
"""Per cent of the resamples that lie within an interval."""


class Estimate(NamedTuple):
    """A metric of all records, and between which values it lies for most resamples."""

    value: float
    low: float
    high: float
    records: int
    """How many records it was measured on."""
    signature: str = ""
    """All that the number depends on, where the field has a way to write that."""


class Difference(NamedTuple):
    """How much better the first of two systems is on the same records."""

    value: float
    low: float
    high: float
    records: int
    wins: float
    """The share of the resamples in which the first system is the better one."""


def estimate(records: Records, metric: Metric, seed: int, resamples: int = 1000) -> Estimate:
    """A metric with its percentile interval (Efron and Tibshirani 1993, chapter 13), 95 per cent.

    Resamples for which the metric is not a number, such as a correlation of equal records, are
    left out.

    Args:
        records: shape [N, …].
        metric: its value for any rows of `records`.
        seed: equal seeds draw equal records, for equal N.
        resamples: how often; of 1000 the ends are sure to about a fiftieth of the interval.

    Raises:
        DataError: no record.
    """
    check(records, records)
    values = [metric(records[rows]) for rows in draws(seed, resamples, len(records))]
    return Estimate(float(metric(records)), *_interval(np.array(values)), len(records))


def difference(
    first: Records, second: Records, metric: Metric, seed: int, resamples: int = 1000
) -> Difference:
    """The metric of the first system minus that of the second, by paired bootstrap (Koehn 2004).

    Each resample takes the same records of both, so what makes a record hard for both cancels.

    Args:
        first: a system's statistics of the records, shape [N, …].
        second: those of another for the same records, in the same order.
        metric: its value for any rows of either.
        seed: as in `estimate`.
        resamples: as in `estimate`.

    Raises:
        DataError: no record, or not as many of one as of the other.
    """
    check(first, second)
    rows = draws(seed, resamples, len(first))
    values = np.array([metric(first[drawn]) - metric(second[drawn]) for drawn in rows])
    value = float(metric(first) - metric(second))
    return Difference(value, *_interval(values), len(first), float((values > 0).mean()))


def draws(seed: int, resamples: int, count: int) -> Iterator[Int64Array]:
    """The rows of each resample: `count` of `count`, with replacement, all equally likely."""
    for resample in range(resamples):
        bits = np.random.Philox(key=seed, counter=resample << 64).random_raw(count)
        yield ((bits >> HALF) * np.uint64(count) >> HALF).astype(np.int64)


def _interval(values: Reals) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [50 - LEVEL / 2, 50 + LEVEL / 2])
    return float(low), float(high)
