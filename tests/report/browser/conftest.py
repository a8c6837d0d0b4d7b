from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.browsing import EARLY, LONG, PAGES, STEPS, VIEW, answers, lines
from helpers.run_folders import training_line, write_run
from playwright.sync_api import Browser, Page

from dslm.commands.main import dispatch
from dslm.report import write_comparison, write_report
from dslm.report.index import write_index
from dslm.report.summary import find_runs, read_summary

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
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
    result = {"step": 99, "data": f"{LONG}.jsonl", "loss": 2.5, "answers": answers()}
    found = {"evaluations.jsonl": json.dumps(result)}
    tagged = write_run(root / "tagged", lines(0), found, status="done")
    write_report(tagged, made["answers"])
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
