"""``report --watch``: the page goes on as long as the run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import report
from dslm.commands.cli import run as run_command
from dslm.commands.report import SECONDS
from dslm.run.lock import RunLock

WATCHED = f'data-watch="{SECONDS}"'
Moment = Callable[[Path], None]


def finish(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "status": "done"}))


def interrupt(run: Path) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def running(make_run: RunMaker) -> Path:
    return make_run([], status="running")


def watch(run: Path, monkeypatch: pytest.MonkeyPatch, *moments: Moment) -> list[str]:
    """The pages that are there when it waits; at each of these moments something happens."""
    left, pages = list(moments), []

    def sleep(seconds: float) -> None:
        page = run / "report.html"
        pages.append(page.read_text(encoding="utf-8") if page.exists() else "")
        assert seconds == SECONDS
        left.pop(0)(run)

    monkeypatch.setattr("dslm.commands.report.time.sleep", sleep)
    lock = RunLock(run, dict)
    lock.take()
    try:
        assert run_command(report.main, ["--watch", str(run)]) == 0
    finally:
        lock.release()
    assert not left
    return [*pages, (run / "report.html").read_text(encoding="utf-8")]


def test_the_page_is_written_anew_until_the_run_ends(
    running: Path,
    training: LineMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def step(number: int, run: Path) -> None:
        with (run / "metrics.jsonl").open("a") as file:
            file.write(f"\n{json.dumps(training(number, 5.0))}")

    moments = [lambda run: step(1, run), lambda run: step(2, run), finish]
    pages = watch(running, monkeypatch, *moments)
    assert pages[0] == ""
    assert [f"{number} steps: " in page for number, page in zip((1, 2, 2), pages[1:], strict=True)]
    assert [WATCHED in page for page in pages[1:]] == [True, True, False]
    assert capsys.readouterr().out == f"{running / 'report.html'}\n"


def test_an_interruption_ends_it_in_good_order(
    running: Path,
    training: LineMaker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (running / "metrics.jsonl").write_text(json.dumps(training(1, 5.0)))
    before, after = watch(running, monkeypatch, interrupt)
    assert WATCHED in before
    assert "data-watch" not in after
    assert capsys.readouterr().err == ""


def test_it_can_be_interrupted_before_there_is_a_page(
    running: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(run: Path) -> None:
        (run / "report.html").write_text("none yet")
        raise KeyboardInterrupt

    assert watch(running, monkeypatch, interrupted) == ["", "none yet"]
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
