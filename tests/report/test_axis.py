from __future__ import annotations

import pytest

from dslm.report.axis import linear_axis, log_axis, steps_axis


@pytest.mark.parametrize(
    "values",
    [[1.62, 9.2], [0.00006, 0.0006], [-3.0, 4.0], [2.0, 2.0], [0.0], [17_900.0, 18_300.0]],
)
@pytest.mark.parametrize("zero", [True, False])
def test_an_axis_holds_every_value_between_round_marks(values: list[float], zero: bool) -> None:
    axis = linear_axis(values, 5, zero)
    assert axis.low == axis.ticks[0] <= min(values)
    assert axis.high == axis.ticks[-1] >= max(values)
    assert 2 <= len(axis.ticks) <= 8
    assert axis.fraction(axis.low) == 0
    assert axis.fraction(axis.high) == 1


def test_an_axis_from_zero_starts_there() -> None:
    assert linear_axis([17_900.0, 18_300.0], 5, zero=True).low == 0
    assert linear_axis([17_900.0, 18_300.0], 5, zero=False).low > 17_000


def test_marks_are_exact_decimals() -> None:
    assert linear_axis([0.0, 0.0006], 5, zero=True).ticks == [0, 0.0002, 0.0004, 0.0006]


def test_a_logarithmic_axis_spaces_powers_of_ten_evenly() -> None:
    axis = log_axis([0.5, 24.0])
    assert axis.ticks == [0.1, 1, 10, 100]
    assert [axis.fraction(tick) for tick in axis.ticks] == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_a_logarithmic_axis_of_equal_values_has_a_length() -> None:
    axis = log_axis([10.0])
    assert axis.low == 10 < axis.high


@pytest.mark.parametrize(("first", "last"), [(0, 1), (0, 30), (2500, 5000), (0, 123_457), (7, 7)])
def test_steps_are_marked_at_whole_steps_within_the_run(first: int, last: int) -> None:
    axis = steps_axis(first, last, 5)
    assert axis.low == first
    assert axis.high >= last
    assert 1 <= len(axis.ticks) <= 8
    assert all(isinstance(tick, int) and first <= tick <= axis.high for tick in axis.ticks)
