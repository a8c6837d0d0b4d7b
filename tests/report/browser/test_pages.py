"""The pages in a browser: how they look, at any width, in any colours, with and without script."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers.browsing import EARLY, LONG, PAGES, PHONE, VIEW, drag, lines, marks, plot
from helpers.run_folders import write_run

from dslm.report import write_report


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_follows_the_readers_colours(name: str, opened: Any) -> None:
    page = opened(name)
    page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    for size in (VIEW, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        style = page.evaluate(
            "(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))"
        )
        paper, ink = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in style)
        assert (paper > ink) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_confusion_matrix_can_be_read_on_a_phone(scheme: Any, opened: Any) -> None:
    page = opened("answers", viewport=PHONE, color_scheme=scheme)
    table = page.locator(".confusion")
    assert table.locator("tbody tr").count() == 20
    assert page.locator(".scroll:has(.confusion)").evaluate("e => e.scrollWidth > e.clientWidth")
    heads = table.locator("thead span").evaluate_all("all => all.map(e => e.offsetHeight)")
    assert max(heads) <= 130
    ink, cells = table.evaluate(
        """e => [getComputedStyle(e).color, [...e.querySelectorAll("td.right")].map(
        cell => getComputedStyle(cell).backgroundColor)]"""
    )
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for cell in cells:
        assert contrast(blended(cell, paper), numbers(ink)) >= 4.5


def numbers(colour: str) -> list[float]:
    """Red, green, blue and opacity, each up to 1, of a colour as the browser writes it."""
    found = [float(one) for one in re.findall(r"[\d.]+(?:e-?\d+)?", colour)]
    scale = 1 if colour.startswith("color(") else 255
    return [*(one / scale for one in found[:3]), *(found[3:] or [1.0])]


def blended(above: str, below: str) -> list[float]:
    """A colour over another."""
    (*top, share), under = numbers(above), numbers(below)
    return [share * a + (1 - share) * b for a, b in zip(top, under[:3], strict=True)]


def contrast(first: list[float], second: list[float]) -> float:
    """The contrast of two colours by WCAG 2.1."""
    found = []
    for colour in (first, second):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
        found.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(found) + 0.05) / (min(found) + 0.05)


@pytest.mark.parametrize("name", ["one", "three"])
def test_letters_of_the_axes_do_not_touch(name: str, opened: Any) -> None:
    page = opened(name, viewport=PHONE)
    boxes = page.evaluate(
        """() => [...document.querySelectorAll(".plot")].map(plot =>
        [...plot.querySelectorAll(".x")].map(e => e.getBoundingClientRect())
        .map(({left, right}) => [left, right]).sort((a, b) => a[0] - b[0]))"""
    )
    for row in boxes:
        for (_, end), (start, _) in pairwise(row):
            assert end <= start


@pytest.mark.parametrize(
    ("column", "up", "down"),
    [
        ("validation", ["a", "b", LONG], [LONG, "b", "a"]),
        ("tokens/s", ["a", LONG, "b"], ["a", LONG, "b"]),  # all are equal
    ],
)
def test_the_rows_of_the_index_are_ordered_by_a_column(
    column: str, up: list[str], down: list[str], opened: Any
) -> None:
    page = opened("index")
    head = page.get_by_role("button", name=column)
    orders = []
    for _ in range(2):
        head.click()
        orders.append([text.split()[0] for text in page.locator("tbody th").all_inner_texts()])
    assert orders == [[*up, EARLY], [*down, EARLY]], "what has no such figure comes last"


def test_without_a_script_the_page_is_a_picture(opened: Any) -> None:
    page = opened("three", java_script_enabled=False)
    assert page.locator("path.line[d]").count() >= 3 * len(page.locator(".plot").all())
    assert page.locator(".controls").is_hidden()
    assert not page.get_by_role("button").all()
    assert page.get_by_text("What differs").is_visible()


def test_a_page_that_is_read_anew_keeps_its_section_until_the_run_ends(
    opened: Any, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", lines(0)[:-20], status="running")
    hour = 3600  # longer than the test can take
    page = opened(write_report(run, watch=hour).as_uri())
    page.get_by_label("x axis").select_option("tokens")
    drag(page, plot(page), 0.5, 0.75)
    section = marks(plot(page))
    write_report(run, watch=0)
    with page.expect_navigation():
        page.clock.fast_forward(1000 * hour)
    assert page.locator("[data-watch]").count() == 0
    assert marks(plot(page)) == section
    assert page.get_by_label("x axis").input_value() == "tokens"
