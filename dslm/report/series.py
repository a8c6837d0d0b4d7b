"""Curves as lists of points: taken from the log, smoothed, and thinned to what a screen shows."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from dslm.report.record import Entry


class Point(NamedTuple):
    """One value of a curve."""

    step: int
    value: float
    """May be NaN or infinite: a loss that went wrong is part of the curve."""
    leg: int = 0

    @property
    def finite(self) -> bool:
        """Whether the point can be drawn on a line."""
        return math.isfinite(self.value)


def series(entries: Iterable[Entry], key: str) -> list[Point]:
    """The curve of one quantity; entries that do not mention it are left out."""
    return [
        Point(entry.step, _number(entry.values[key]), entry.leg)
        for entry in entries
        if key in entry.values
    ]


def smoothing(points: Sequence[Point], share: int = 50) -> int:
    """How many neighbours on either side to smooth a curve over: one `share`-th of its length."""
    return len(points) // share


def smooth(points: Sequence[Point], share: int = 50) -> list[Point]:
    """The median of each point and its neighbours on either side; non-finite ones are left out.

    A median, because one spike would lift the mean of all its neighbours. Near the start the reach
    shrinks on both sides alike, so that the steep first fall is not drawn too low; near the end,
    where curves are flat, it shrinks only ahead.
    """
    reach = smoothing(points, share)
    window: list[float] = []  # sorted
    first = end = 0
    smoothed = []
    for i, point in enumerate(points):
        behind = min(reach, i)
        for entering in points[end : i + behind + 1]:
            if entering.finite:
                insort(window, entering.value)
        for leaving in points[first : i - behind]:
            if leaving.finite:
                del window[bisect_left(window, leaving.value)]
        first, end = i - behind, min(i + behind + 1, len(points))
        smoothed.append(point._replace(value=_middle(window)))
    return smoothed


def settled(points: Sequence[Point]) -> float:
    """Where a curve ends, noise left out: the last value `smooth` would give."""
    last = points[len(points) - 1 - smoothing(points) :]
    return _middle(sorted(point.value for point in last if point.finite))


def thin(points: Iterable[Point], width: float) -> list[Point]:
    """The lowest and the highest point of every `width` steps: fewer points, and no spike lost."""
    kept: list[Point] = []
    for _, column in groupby(points, key=lambda point: point.step // width):
        bucket = list(column)
        low = min(bucket, key=lambda point: point.value)
        high = max(bucket, key=lambda point: point.value)
        kept += [low] if low is high else sorted((low, high))
    return kept


def stretches(points: Iterable[Point]) -> list[list[Point]]:
    """The parts of a curve a line may join: finite, and logged by one process."""
    groups = groupby(points, key=lambda point: (point.leg, point.finite))
    return [list(group) for (_, finite), group in groups if finite]


def interpolate(points: Sequence[Point]) -> Callable[[int], float]:
    """The straight line from zero at step 0 through all points, as a function of the step."""
    path = [Point(0, 0.0), *points]

    def value(step: int) -> float:
        at = bisect_right(path, step, key=lambda point: point.step)
        before, after = path[at - 1], path[min(at, len(path) - 1)]
        share = (step - before.step) / max(1, after.step - before.step)
        return before.value + share * (after.value - before.value)

    return value


def _middle(window: Sequence[float]) -> float:
    """The median of sorted values; NaN where there is none."""
    half = len(window) // 2
    return (window[half] + window[~half]) / 2 if window else math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
