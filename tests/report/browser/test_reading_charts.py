"""The charts in a browser: what they do when they are pointed at, dragged and typed at."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.browsing import STEPS, drag, lines, marks, plot, said, steps

WHICH = "e => e.ariaLabel || e.name || e.closest('figure')?.textContent || e.textContent"
"""What one element of a page is known by."""


def test_the_pointer_reads_the_values_that_were_logged(opened: Any) -> None:
    page = opened("one")
    plot(page).hover()
    found = said(plot(page))
    value, step = found["training"]
    assert abs(step - STEPS / 2) <= 2
    assert value == pytest.approx(lines(0)[step - 1 + (step - 1) // 100]["loss"], rel=1e-4)
    assert found["validation"][1] == 200
    page.mouse.move(0, 0)
    assert plot(page).locator(".cursor").is_hidden()


def test_dragging_shows_a_section_and_a_button_all_of_it_again(opened: Any) -> None:
    page = opened("one")
    box, reset = plot(page), page.get_by_role("button", name="reset zoom").first
    before, heights = steps(box), marks(box, "y")
    drag(page, box, 0.5, 0.75)
    assert 0.45 * STEPS < min(steps(box)) < max(steps(box)) < 0.8 * STEPS
    assert len(steps(box)) >= 4
    assert marks(box, "y") != heights
    reset.click()
    assert (steps(box), marks(box, "y")) == (before, heights)
    assert reset.is_hidden()
    drag(page, box, 0.9, 0.2)  # from right to left, too
    assert steps(box) != before
    box.dblclick()
    assert steps(box) == before


def test_the_keyboard_reads_and_zooms(opened: Any) -> None:
    page = opened("one")
    box = plot(page)
    before = steps(box)
    box.focus()
    page.keyboard.press("ArrowRight")
    first = said(box)["training"][1]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert said(box)["training"][1] < first
    page.keyboard.press("+")
    page.keyboard.press("+")
    assert max(steps(box)) - min(steps(box)) <= STEPS / 4
    page.keyboard.press("-")
    assert STEPS / 4 < max(steps(box)) - min(steps(box)) <= STEPS / 2
    page.keyboard.press("Escape")
    assert steps(box) == before


def test_every_control_is_reached_by_the_tabulator(opened: Any) -> None:
    page = opened("three")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(f"({WHICH})(document.activeElement)"))
    wanted = page.locator("button.key, .tools button:visible, .controls *[name], .plot")
    assert set(wanted.evaluate_all(f"all => all.map({WHICH})")) <= reached
