from __future__ import annotations

import math
import re

from dslm.report.chart import Chart, Line, Note, draw, figure
from dslm.report.series import Point


def chart(*values: float, **settings: object) -> str:
    points = [Point(step, value) for step, value in enumerate(values, 1)]
    return draw(Chart("Loss", "nats", [Line("training", points, "train")], **settings))


def test_every_value_can_be_read_at_the_pointer() -> None:
    page = chart(4.0, 3.0, 2.5)
    assert 'data-steps="1 2 3"' in page
    assert 'data-values="4 3 2.5"' in page


def test_curves_stay_inside_the_box() -> None:
    page = chart(4.0, 900.0, -3.0, 2.5)
    route = re.search(r' d="([^"]*)" class="line', page)[1]
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", route)]
    assert all(0 <= number <= 100 for number in numbers)


def test_a_logarithmic_axis_says_so_and_a_linear_one_does_not() -> None:
    assert "logarithmic axis" in chart(1.0, 1.0, 1.0, 1.0, 50.0)
    assert "logarithmic axis" not in chart(4.0, 3.0, 2.0)


def test_values_that_are_not_finite_become_marks_with_a_key() -> None:
    page = chart(4.0, math.nan, 3.0, math.inf, wide=True)
    assert page.count("V100") == 2
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
    assert page.count("V100") == 1


def test_a_reference_line_is_inside_the_axis() -> None:
    page = chart(2.0, 2.1, notes=[Note("uniform guessing", 9.0)], zero=False)
    assert re.search(r'd="M0,\d+(\.\d+)?H100" class="reference"', page)
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
