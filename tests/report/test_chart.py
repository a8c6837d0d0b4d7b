from __future__ import annotations

import math
import re

import pytest

from dslm.report.chart import Chart, Line, Note, draw, figure
from dslm.report.series import Point


def chart(*values: float, **settings: object) -> str:
    points = [Point(step, value) for step, value in enumerate(values, 1)]
    return draw(Chart("Loss", "nats", [Line("training", points, "train")], **settings))


def written(page: str) -> list[list[tuple[int, float]]]:
    """The points beside the first curve, as the script reads them: stretch by stretch."""
    steps, values = (re.search(rf'data-{name}="([^"]*)"', page)[1] for name in ("steps", "values"))
    found, step = [], 0
    for part, numbers in zip(steps.split(";"), values.split(";"), strict=True):
        stretch = []
        for ahead, value in zip(part.split(), numbers.split(), strict=True):
            step += int(ahead)
            stretch.append((step, float(value)))
        found.append(stretch)
    return found


@pytest.mark.parametrize("at", [(1, 2, 3), (10, 20, 45), (1000, 1001, 90_000)])
def test_every_value_can_be_read_at_the_pointer(at: tuple[int, ...]) -> None:
    points = [Point(step, value) for step, value in zip(at, (4.0, 3.0, 2.5), strict=True)]
    page = draw(Chart("Loss", "nats", [Line("training", points, "train")]))
    assert written(page) == [[(point.step, point.value) for point in points]]


def test_the_points_of_each_stretch_are_written_by_themselves() -> None:
    assert written(chart(4.0, 3.0, math.nan, 2.5)) == [[(1, 4.0), (2, 3.0)], [(4, 2.5)]]


def test_a_smoothing_that_is_not_chosen_is_written_and_not_drawn() -> None:
    points = [Point(step, 1.0) for step in range(1, 5)]
    lines = [Line("a", points, "train"), Line("strong", points, "train", at="s")]
    page = draw(Chart("Loss", "nats", lines))
    assert [" d=" in path for path in re.findall(r"<path[^>]*data-name[^>]*>", page)] == [
        True,
        False,
    ]
    assert ">strong<" not in page


def test_curves_stay_inside_the_box() -> None:
    page = chart(4.0, 900.0, -3.0, 2.5)
    route = re.search(r' d="([^"]*)" class="line', page)[1]
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", route)]
    assert len(numbers) == 8
    assert all(0 <= number <= 1000 for number in numbers)


def test_a_logarithmic_axis_says_so_and_a_linear_one_does_not() -> None:
    assert "logarithmic axis" in chart(1.0, 1.0, 1.0, 1.0, 50.0)
    assert "logarithmic axis" not in chart(4.0, 3.0, 2.0)


def test_values_that_are_not_finite_become_marks_with_a_key() -> None:
    page = chart(4.0, math.nan, 3.0, math.inf, wide=True)
    assert page.count("V1000") == 2
    assert "not a finite number" in page
    assert "not a finite number" not in chart(4.0, 3.0, wide=True)


def test_a_chart_of_nothing_finite_is_still_a_chart() -> None:
    assert "<svg" in chart(math.nan, math.nan)


def test_a_resume_is_marked_and_breaks_the_line() -> None:
    points = [Point(1, 4.0), Point(2, 3.0), Point(3, 2.0, leg=1), Point(4, 1.0, leg=1)]
    line = Line("training", points, "train")
    page = draw(Chart("Loss", "nats", [line], resumes=[2], wide=True))
    assert re.search(r' d="([^"]*)" class="line', page)[1].count("M") == 2
    assert "resumed here" in page
    assert page.count("V1000") == 1


def test_a_reference_line_is_inside_the_axis() -> None:
    page = chart(2.0, 2.1, notes=[Note("uniform guessing", 9.0)], zero=False)
    assert re.search(r'd="M0 \d+H1000" class="reference"', page)
    assert "uniform guessing" in page


def test_marks_of_an_axis_have_equally_many_decimals() -> None:
    marks = re.findall(r'class="y"[^>]*>([^<]*)<', chart(1.0, 1.2, 1.5, zero=False))
    assert marks == ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"]


def test_marks_of_a_logarithmic_axis_are_bare_powers_of_ten() -> None:
    marks = re.findall(r'class="y"[^>]*>([^<]*)<', chart(0.5, 0.5, 0.5, 24.0))
    assert marks == ["0.1", "1", "10", "100"]


def test_tokens_stand_below_the_steps() -> None:
    points = [Point(step, 1.0) for step in range(1, 11)]
    page = draw(Chart("Loss", "", [Line("training", points, "train")]), lambda step: step * 1000.0)
    assert "10<small>10k</small>" in page


def test_numbers_are_short() -> None:
    found = [figure(value) for value in (0.0, 0.00006, 0.0005, 1.23456789, 999.0, 18_234.0)]
    assert found == ["0", "6e-5", "5e-4", "1.2346", "999", "18.2k"]
    assert figure(math.nan) == "nan"
