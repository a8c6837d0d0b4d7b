"""What the tests of pages in a browser share: the runs shown, how a chart is used and read."""

from __future__ import annotations

import random
import re
from typing import Any

from playwright.sync_api import Locator, Page

from helpers.run_folders import training_line

VIEW = {"width": 1280, "height": 900}
PHONE = {"width": 400, "height": 800}
PAGES = ("one", "three", "diverged", "index", "data", "answers")
STEPS = 400
EARLY = "early"
"""A run that has made no step."""
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


def answers(seed: int = 0) -> dict[str, Any]:
    """Everything that a page may say of a task, of many classes with long names."""
    draw = random.Random(seed)
    classes = [f"{draw.choice(['economics', 'law_of_the_sea', '历史学'])}_{n}" for n in range(20)]
    rows = [[draw.randint(0, 9) + 60 * (a == b) for b in range(20)] for a in range(20)]
    wrong = {"text": "Ein Satz. " * 40, "right": LONG, "predicted": "law", "loss": 12.5}
    return {
        **{"records": 4000, "wrong": 321, "confusion": {"classes": classes, "rows": rows}},
        "kinds": [[LONG, 1.0, 0.5, 2 / 3, 1234], ["LOC", 0.0, 0.0, 0.0, 1]],
        "amounts": [[n / 50, n / 50 + draw.gauss(0, 0.3)] for n in range(200)],
        "errors": [wrong, {**wrong, "text": LONG * 3}],
    }


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
