"""The pages in a browser: what they do when they are looked at, pointed at and typed at."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import training_line, write_run
from playwright.sync_api import Browser, Locator, Page

from dslm.commands.main import dispatch
from dslm.report import write_comparison, write_report
from dslm.report.chart import SMOOTHING
from dslm.report.index import write_index
from dslm.report.summary import find_runs, read_summary

VIEW = {"width": 1280, "height": 900}
PHONE = {"width": 400, "height": 800}
PAGES = ("one", "three", "diverged", "index", "data")
STEPS = 400
WHICH = "e => e.ariaLabel || e.name || e.closest('figure')?.textContent || e.textContent"
"""What one element of a page is known by."""
EARLY = "early"
"""A run that has made no step."""
COLOURS = "style => [style.backgroundColor, style.color]"
LONG = "a_run_with_a_name_that_is_longer_than_a_phone_is_wide_in_one_word"


def lines(seed: int, slower: int = 1) -> list[dict[str, Any]]:
    """The log of a run; one that is slower makes fewer steps of the same tokens and time."""
    draw = random.Random(seed)
    made: list[dict[str, Any]] = []
    for step in range(1, STEPS // slower + 1):
        loss = 2 + seed / 4 + 6 / step**0.5 + draw.gauss(0, 0.1)
        more = {"learning_rate": 1e-3 * step, "gradient_norm": abs(draw.gauss(1, 0.2))}
        more |= {"tokens": 512 * slower * step, "seconds": 2.0 * slower * step}
        made.append(training_line(step, loss, **more))
        if step % 100 == 0:
            made.append({"step": step, "validation_loss": 2.1 + seed / 4 + 6 / step**0.5})
    return made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory, shard_set: Path) -> dict[str, str]:
    """The address of a page of each kind."""
    root = tmp_path_factory.mktemp("pages")
    for seed, name in enumerate(("a", "b", LONG)):
        config = {"preset": "tiny", "steps": STEPS, "model": {"vocabulary": 8000}, "seed": seed}
        data = {"validation": {"folder": f"shards/{LONG}/{LONG}"}}
        write_run(
            root / "runs" / name,
            lines(seed, (1, 1, 4)[seed]),
            config=config,
            data=data,
            status="done",
        )
    runs = list(find_runs(root / "runs"))
    made = {name: root / f"{name}.html" for name in PAGES}
    write_report(root / "runs" / "a", made["one"])
    bad = [training_line(step, 700.0, gradient_norm=None) for step in range(1, 100)]
    bad.append({"step": 99, "validation_loss": 700.0})
    write_report(write_run(root / "diverged", bad, status="running"), made["diverged"])
    write_comparison(runs, made["three"])
    runs.insert(0, write_run(root / "runs" / EARLY, [], status="done"))
    write_index([read_summary(run) for run in runs], root / "runs", made["index"])
    dispatch(["data", "stats", str(shard_set), "--html", str(made["data"])])
    return {name: path.as_uri() for name, path in made.items()}


@pytest.fixture
def opened(browser: Browser, pages: dict[str, str]) -> Iterator[Any]:
    """Opens a page: ``opened(name, **settings of the browser)``; no error may come of it."""
    errors: list[str] = []
    contexts = []

    def opens(name: str, **settings: Any) -> Page:
        context = browser.new_context(**{"viewport": VIEW, **settings})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.clock.install()
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages.get(name, name))
        return page

    yield opens
    for context in contexts:
        context.close()
    assert errors == []


def figure(page: Page, title: str) -> Locator:
    return page.locator("figure").filter(has=page.get_by_text(title, exact=True)).first


def plot(page: Page, title: str = "Loss") -> Locator:
    """The chart of that title."""
    return figure(page, title).locator(".plot")


def drag(page: Page, box: Locator, first: float, last: float) -> None:
    """Drag across a chart, from one share of its width to another."""
    place = box.bounding_box()
    assert place is not None
    x, y = place["x"], place["y"] + place["height"] / 2
    page.mouse.move(x + first * place["width"], y)
    page.mouse.down()
    page.mouse.move(x + (first + last) / 2 * place["width"], y)
    page.mouse.move(x + last * place["width"], y)
    page.mouse.up()


def marks(box: Locator, axis: str = "x") -> list[str]:
    """What is written along an axis, without the smaller line below."""
    texts = box.locator(f".{axis}").evaluate_all("all => all.map(e => e.firstChild.textContent)")
    return [str(text) for text in texts]


def steps(box: Locator) -> list[int]:
    return [int(text.replace(",", "")) for text in marks(box)]


def said(box: Locator) -> dict[str, tuple[float, int]]:
    """The value and the step that the cursor names for each curve."""
    text = box.locator(".cursor pre").inner_text()
    found = re.findall(r"^\s*(.*?) (\S+) at step ([\d,]+)", text, re.MULTILINE)
    return {name: (float(value), int(step.replace(",", ""))) for name, value, step in found}


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
