"""The controls of a page in a browser: axes, smoothing, and which runs are shown."""

from __future__ import annotations

import math
from typing import Any

import pytest
from helpers.browsing import LONG, STEPS, figure, marks, plot, said

from dslm.report.chart import SMOOTHING


def test_a_vertical_axis_becomes_logarithmic_and_linear_again(opened: Any) -> None:
    page = opened("one")
    box = plot(page, "Learning rate")
    button = figure(page, "Learning rate").get_by_role("button", name="log y")
    linear = marks(box, "y")
    button.click()
    assert marks(box, "y") == ["0.001", "0.01", "0.1"]
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert marks(box, "y") == linear


def test_a_horizontal_axis_becomes_logarithmic(opened: Any) -> None:
    page = opened("one")
    page.get_by_label("logarithmic").check()
    assert marks(plot(page)) == ["1", "10", "100"]


@pytest.mark.parametrize(
    ("unit", "last", "title"),
    [("tokens", "200k", "tokens seen"), ("time", "12m", "time of training")],
)
def test_the_horizontal_axis_may_be_of_tokens_or_time(
    unit: str, last: str, title: str, opened: Any
) -> None:
    page = opened("three")
    page.get_by_label("x axis").select_option(unit)
    box = plot(page)
    assert marks(box)[-1] == last
    assert box.locator(".x-title").inner_text() == title
    box.hover()
    value, step = said(box)["b"]
    assert abs(step - STEPS / 2) <= 10
    assert math.isfinite(value)


def test_smoothing_is_chosen_and_named(opened: Any) -> None:
    page = opened("one")
    box, legend = plot(page), page.locator("figure.wide figcaption")
    paths = {letter: box.locator(f"path.line[data-at={letter}]") for letter in "lms"}
    for choice, letter, name in (
        ("strong", "s", "median of 81 lines"),
        ("light", "l", "median of 5 lines"),
        ("medium", "m", "median of 17 lines"),
    ):
        page.get_by_label("smoothing").select_option(label=choice)
        assert [key for key, path in paths.items() if path.is_visible()] == [letter]
        assert name in legend.inner_text()
    page.get_by_label("smoothing").select_option(label="none")
    assert not any(path.is_visible() for path in paths.values())
    assert "median" not in legend.inner_text()


def test_every_run_has_one_curve_at_every_smoothing_whatever_its_length(opened: Any) -> None:
    page = opened("three")
    drawn = plot(page).locator("path.line:not(.dots):visible")
    for choice in SMOOTHING.values():
        page.get_by_label("smoothing").select_option(label=choice)
        groups = drawn.evaluate_all("all => all.map(path => path.dataset.group)")
        assert sorted(groups) == sorted(("a", "b", LONG))
        faint = drawn.evaluate_all("all => all.filter(one => getComputedStyle(one).opacity < 1)")
        assert faint == []


def test_a_click_in_the_legend_hides_a_run_and_shows_it_again(opened: Any) -> None:
    page = opened("three")
    key = page.locator(".legend").get_by_role("button", name="b", exact=True)
    for pressed, seen in (("false", {"a", LONG}), ("true", {"a", "b", LONG})):
        key.click()
        assert key.get_attribute("aria-pressed") == pressed
        groups = page.locator("path.line:visible").evaluate_all(
            "all => all.map(path => path.dataset.group)"
        )
        assert set(groups) == seen
