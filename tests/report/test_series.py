from __future__ import annotations

import math
import random
from statistics import median

import pytest

from dslm.report.record import Entry
from dslm.report.series import (
    Point,
    interpolate,
    series,
    settled,
    smooth,
    smoothing,
    stretches,
    thin,
)


def noisy(count: int) -> list[Point]:
    draw = random.Random(5)
    return [Point(step, draw.gauss(3, 0.2)) for step in range(1, count + 1)]


def test_thinning_keeps_the_extremes_and_the_order() -> None:
    points = noisy(20_000)
    points[7_777] = Point(7_778, 40.0)
    points[12_345] = Point(12_346, -9.0)
    kept = thin(points, 20_000 / 1000)
    assert len(kept) <= 2 * 1001
    assert {points[7_777], points[12_345]} <= set(kept)
    assert [point.step for point in kept] == sorted({point.step for point in kept})


def test_thinning_keeps_every_point_where_there_is_room() -> None:
    points = noisy(300)
    assert thin(points, 0.3) == points


def test_smoothing_is_the_median_of_the_neighbours() -> None:
    points = noisy(500)
    reach = smoothing(points)
    smoothed = smooth(points)
    for i in (0, 3, reach, 250, 499):
        behind = min(reach, i)
        values = [point.value for point in points[i - behind : i + behind + 1]]
        assert smoothed[i].value == median(values)
    assert settled(points) == smoothed[-1].value


def test_a_spike_and_values_that_are_not_finite_leave_the_smoothed_curve_alone() -> None:
    points = [Point(step, 2.0) for step in range(200)]
    points[50] = Point(50, 1e9)
    points[90] = Point(90, math.nan)
    points[120] = Point(120, math.inf)
    assert {point.value for point in smooth(points)} == {2.0}


def test_a_curve_with_nothing_finite_smooths_to_nan() -> None:
    points = [Point(step, math.nan) for step in range(100)]
    assert all(math.isnan(point.value) for point in smooth(points))
    assert math.isnan(settled(points))


def test_lines_break_at_a_resume_and_where_a_value_is_not_finite() -> None:
    points = [
        Point(1, 5.0),
        Point(2, 4.0),
        Point(3, math.nan),
        Point(4, 3.0),
        Point(5, 2.0, leg=1),
    ]
    assert stretches(points) == [points[:2], points[3:4], points[4:]]


def test_a_missing_value_leaves_the_point_out_and_null_is_not_a_number() -> None:
    entries = [Entry(1, 0, {"loss": 1.5}), Entry(2, 0, {}), Entry(3, 0, {"loss": None})]
    found = series(entries, "loss")
    assert found[0] == Point(1, 1.5)
    assert found[1].step == 3
    assert math.isnan(found[1].value)


def test_tokens_between_two_lines_lie_on_the_line_between_them() -> None:
    tokens = interpolate([Point(10, 1000.0), Point(20, 3000.0)])
    assert [tokens(step) for step in (0, 5, 10, 15, 20)] == pytest.approx(
        [0, 500, 1000, 2000, 3000]
    )
    assert tokens(25) == 3000
