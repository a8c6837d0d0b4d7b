"""All runs of a folder in one table."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from helpers.pages import Page
from helpers.run_folders import LineMaker, RunMaker

from dslm.commands import runs
from dslm.commands.cli import run as run_command
from dslm.report.index import HEAD, keys, row, write_index
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


@pytest.mark.parametrize(
    ("files", "status"),
    [
        ({"run.json": '{"format": 1, "config": null, "status": "done"}'}, "unreadable"),
        ({"run.json": '{"format": 1, "config": [1], "status": "done"}'}, "unreadable"),
        ({"run.json": '{"format": 1, "config": {"steps": "x"}, "status": "done"}'}, "done"),
        ({"run.json": '{"format": 1, "plan": {"parameters": "x"}, "status": "done"}'}, "done"),
        ({"run.json": '{"format": 1, "plan": 7, "started": 7, "status": "done"}'}, "done"),
        ({"run.json": '{"format": 1, "status": "done", "heartbeat": 7}'}, "done"),
        ({"metrics.jsonl": '{"step": 1, "loss": 3.0, "seconds": "a"}'}, "done"),
        ({"metrics.jsonl": '{"step": 1, "loss": 3.0, "seconds": [1]}'}, "done"),
        ({"metrics.jsonl": '{"step": 1, "loss": 3.0, "seconds": Infinity}'}, "done"),
        ({"metrics.jsonl": '{"step": 1, "loss": "x", "tokens_per_second": "y"}'}, "done"),
        ({"metrics.jsonl": None}, "unreadable"),
        ({"evaluations.jsonl": None}, "unreadable"),
        ({"quantization.json": "[1]"}, "unreadable"),
    ],
)
def test_an_odd_run_costs_no_other_its_row(
    files: dict[str, str | None],
    status: str,
    make_run: RunMaker,
    training: LineMaker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`None` makes a folder of that name."""
    make_run([training(1, 2.0)], None, "runs/whole", status="done")
    odd = make_run([training(1, 2.0)], None, "runs/odd", status="done")
    for name, text in files.items():
        (odd / name).unlink(missing_ok=True)
        (odd / name).mkdir() if text is None else (odd / name).write_text(text)
    for more in ([], ["--html", str(odd.parent / "index.html")]):
        assert run_command(runs.main, [str(odd.parent), *more]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["odd", status], ["whole", "done"]]


def test_linked_runs_are_found_and_links_in_a_circle_end(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "below").mkdir(parents=True)
    for link, target in (
        ("x", root / "a"),
        ("b", root / "deep"),
        ("below/up", other),
        ("itself", other / "itself"),
        ("nowhere", tmp_path / "nowhere"),
    ):
        (other / link).symlink_to(target)
    assert [run.relative_to(other).as_posix() for run in find_runs(other)] == ["b/b", "x"]
    (root / "0").symlink_to(root / "a")
    names = [run.relative_to(root).as_posix() for run in find_runs(root)]
    assert names == ["a", "c", "d", "deep/b"], "each once, under its own name"


def test_rows_have_keys_where_something_is_known(root: Path) -> None:
    for run in find_runs(root):
        summary = read_summary(run)
        cells = dict(zip(HEAD, zip(row(summary, root), keys(summary), strict=True), strict=True))
        for column, (text, key) in [*cells.items()][2:]:
            assert (key == "") == (text in ("", f"{math.nan:.4f}")), column


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
