"""All runs of a folder in one table."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.pages import Page
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import runs
from dslm.commands.cli import run as run_command
from dslm.report.index import HEAD, row, write_index
from dslm.report.summary import find_runs, read_summary


@pytest.fixture
def root(make_run: RunMaker, training: LineMaker, tmp_path: Path) -> Path:
    """A folder with four runs: done, without a step, broken, and one whose process was killed."""
    config = {"preset": "tiny", "steps": 2000}
    facts = {"config": config, "plan": {"parameters": 1_437_184}}
    lines = [training(step, 3.0, tokens_per_second=4000.0) for step in (1000, 2000)]
    lines.insert(1, {"step": 1000, "validation_loss": 2.5})
    begun = {"status": "done", "started": "2026-11-29T20:00:00+00:00"}
    done = make_run(lines, None, "runs/a", **facts, **begun)
    (done / "checkpoints" / "step-00002000").mkdir(parents=True)
    (done / "checkpoints" / "step-00002000" / "run.json").write_text("{}")
    make_run([], None, "runs/deep/b", config=config, status="done")
    make_run([training(1, None)], {"run.json": "{"}, "runs/c")
    make_run([training(1, None)], None, "runs/d", config=config, status="running")
    return tmp_path / "runs"


def test_runs_are_found_at_any_depth_and_their_checkpoints_are_none(root: Path) -> None:
    names = [run.relative_to(root).as_posix() for run in find_runs(root)]
    assert names == ["a", "c", "d", "deep/b"]
    assert list(find_runs(root / "a")) == [root / "a"]


def test_a_row_says_how_a_run_stands_and_how_good_it_is(root: Path) -> None:
    cells = dict(zip(HEAD, row(read_summary(root / "a"), root), strict=True))
    assert cells == {
        "run": "a",
        "status": "done",
        "preset": "tiny",
        "parameters": "1.44M",
        "step": "2,000/2,000",
        "loss": "3.0000",
        "validation": "2.5000",
        "tokens/s": "4k",
        "started": "2026-11-29 20:00:00",
        "took": "1h06m",
    }


@pytest.mark.parametrize(
    ("name", "status", "step"),
    [("deep/b", "done", "0/2,000"), ("c", "unreadable", ""), ("d", "crashed", "1/2,000")],
)
def test_every_run_has_a_row(name: str, status: str, step: str, root: Path) -> None:
    cells = dict(zip(HEAD, row(read_summary(root / name), root), strict=True))
    assert (cells["run"], cells["status"], cells["step"]) == (name, status, step)
    assert cells["loss"] in ("", f"{math.nan:.4f}")


def test_the_page_links_the_reports_that_exist(root: Path, tmp_path: Path) -> None:
    (root / "a" / "report.html").write_text("a page")
    write_index([read_summary(run) for run in find_runs(root)], root, tmp_path / "index.html")
    page = Page(tmp_path / "index.html")
    assert page.open == []
    assert page.links == ["runs/a/report.html"]
    assert page.tags.count("tr") == 5


def test_the_command_prints_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(runs.main, [str(root)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == list(HEAD)
    assert [line.split()[:2] for line in lines] == [
        ["a", "done"],
        ["c", "unreadable"],
        ["d", "crashed"],
        ["deep/b", "done"],
    ]


def test_the_command_writes_the_page(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "index.html"
    assert run_command(runs.main, [str(root), "--html", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert Page(page).texts["h1"] == ["runs"]


@pytest.mark.parametrize(("name", "said"), [("", "holds no run"), ("x", "there is no such folder")])
def test_a_folder_without_runs_is_a_mistake(
    name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(runs.main, [str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err
