"""Several runs in one page."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from helpers.pages import Page
from helpers.run_folders import LineMaker, RunMaker

from dslm.errors import CheckpointError, SetupError
from dslm.report import write_comparison
from dslm.report.chart import SMOOTHING
from dslm.report.comparison import COLOURS, charts, differences, look
from dslm.report.outcomes import Cell, outcomes, remarks
from dslm.report.record import NoStepError, Record, read_record
from dslm.report.summary import labels, summarize

HELD = {"folder": "shards/held", "fingerprint": "h"}


@pytest.fixture
def make_runs(make_run: RunMaker, training: LineMaker) -> Any:
    """Makes runs of the same length: ``make_runs(a={…facts}, b={…facts})``."""

    def make(steps: int = 120, **named: dict[str, Any]) -> list[Path]:
        runs = []
        for number, (name, facts) in enumerate(named.items()):
            lines: list[Any] = [
                training(step, 4.0 + number - step / 100, gradient_norm=1.0)
                for step in range(1, steps + 1)
            ]
            lines.append({"step": steps, "validation_loss": 3.0 - number})
            known = {"data": {"train": [{"fingerprint": "t"}], "validation": HELD}}
            runs.append(make_run(lines, None, name, **{**known, **facts}))
        return runs

    return make


def results(records: list[Record]) -> dict[str, list[Cell]]:
    found = outcomes(records, [summarize(record) for record in records])
    return {outcome.name: outcome.cells for outcome in found}


def test_every_run_has_its_curves_in_every_chart(make_runs: Any) -> None:
    records = [read_record(run) for run in make_runs(a={}, b={}, c={})]
    found = {chart.title: chart for chart in charts(records, ["a", "b", "c"])}
    assert set(found) == {"Loss", "Loss, second half", "Gradient norm", "Throughput"}
    for chart in found.values():
        drawn = [line for line in chart.lines if "m" in line.at]
        assert {line.group for line in drawn} == {"a", "b", "c"}
        assert {line.run for line in drawn} == {0, 1, 2}


def test_a_run_of_any_length_is_drawn_once_at_every_smoothing(make_runs: Any) -> None:
    lengths = {"a": 1, "b": 20, "c": 60, "d": 199, "e": 200}
    runs = [run for name, steps in lengths.items() for run in make_runs(steps, **{name: {}})]
    loss, *_ = charts([read_record(run) for run in runs], [*lengths])
    drawn = [line for line in loss.lines if "dots" not in line.look]
    for letter in SMOOTHING:
        assert [line.group for line in drawn if letter in line.at] == [*lengths]
    raw = {line.group: line.at for line in drawn if "raw" in line.look}
    assert raw == {"c": "nl", "d": "nl", "e": "n"}


def test_looks_are_all_different_until_colours_and_strokes_are_used_up() -> None:
    assert len({look(number) for number in range(3 * COLOURS)}) == 3 * COLOURS


def test_the_best_result_of_each_kind_is_marked(make_runs: Any) -> None:
    found = results([read_record(run) for run in make_runs(a={}, b={})])
    assert found["best validation loss"] == [Cell("3.0000", False), Cell("2.0000", True)]
    assert [cell.best for cell in found["training loss, smoothed"]] == [True, False]
    assert not any(cell.best for cell in found["tokens a second"])  # all are equal


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        ({"train": [{"fingerprint": "u"}], "validation": HELD}, "training loss, smoothed", "train"),
        (
            {"train": [{"fingerprint": "t"}], "validation": {"fingerprint": "i"}},
            "best validation loss",
            "validation",
        ),
    ],
)
def test_losses_of_other_tokens_are_not_ranked(
    data: dict[str, Any], kind: str, said: str, make_runs: Any
) -> None:
    records = [read_record(run) for run in make_runs(a={}, b={"data": data})]
    assert not any(cell.best for cell in results(records)[kind])
    (remark,) = remarks(records)
    assert said in remark


@pytest.mark.parametrize(
    ("objectives", "same"),
    [
        ([{}, {"kind": "causal"}], True),
        ([{"kind": "causal"}, {"kind": "masked"}], False),
        ([{"kind": "masked"}, {"kind": "masked", "masked": {"share": 0.4}}], False),
        ([{"kind": "masked"}, {"kind": "masked", "causal": {"fill_in_middle": 0.5}}], True),
    ],
)
def test_losses_are_ranked_among_runs_of_the_same_objective(
    objectives: list[dict[str, Any]], same: bool, make_runs: Any
) -> None:
    facts = [{"config": {"objective": objective}} for objective in objectives]
    runs = make_runs(a=facts[0], b=facts[1])
    for run, loss in zip(runs, (2.5, 2.25), strict=True):
        line = {"step": 5, "fingerprint": "e", "data": "shards/test", "loss": loss}
        (run / "evaluations.jsonl").write_text(json.dumps(line))
    records = [read_record(run) for run in runs]
    losses = {kind: cells for kind, cells in results(records).items() if "loss" in kind}
    assert len(losses) == 3
    for cells in losses.values():
        assert any(cell.best for cell in cells) == same
    assert ["objectives differ" in remark for remark in remarks(records)] == [True] * (not same)


def test_evaluations_are_compared_where_they_are_of_the_same_text(make_runs: Any) -> None:
    runs = make_runs(a={}, b={})
    for run, loss in zip(runs, (2.5, 2.25), strict=True):
        line = {"step": 5, "fingerprint": "e", "data": "shards/test", "loss": loss}
        other = {**line, "fingerprint": run.name, "data": "another", "loss": 9.0}
        text = "\n".join(json.dumps(one) for one in (line, other))
        (run / "evaluations.jsonl").write_text(text)
    found = results([read_record(run) for run in runs])
    assert found["loss on shards/test"] == [Cell("2.5000", False), Cell("2.2500", True)]
    assert "loss on another" not in found


def test_what_differs_is_listed_and_nothing_else(make_runs: Any) -> None:
    same = {"config": {"preset": "tiny", "seed": 1, "run": "x"}}
    runs = make_runs(
        a={**same, "deepspeed": {"optimizer": {"params": {"lr": 0.001}}}, "plan": {"world": 2}},
        b={
            "config": {"preset": "tiny", "seed": 1, "run": "y", "dropout": 0.1},
            "deepspeed": {"optimizer": {"params": {"lr": 0.003}}},
            "plan": {"world": 2},
        },
    )
    assert differences([read_record(run) for run in runs]) == [
        ("deepspeed.optimizer.params.lr", ["0.001", "0.003"]),
        ("dropout", ["", "0.1"]),
    ]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ({"train": [{"fingerprint": "t"}], "validation": HELD}, {}),
        (
            {"train": [{"fingerprint": "t"}, {"fingerprint": "u"}], "validation": HELD},
            {"fingerprint of data.train": ["t", "t, u"]},
        ),
        (
            {"train": {"fingerprint": "t"}},
            {"fingerprint of data.validation": ["h", ""]},
        ),
    ],
)
def test_data_under_the_same_name_may_differ(
    data: dict[str, Any], rows: dict[str, list[str]], make_runs: Any
) -> None:
    records = [read_record(run) for run in make_runs(a={}, b={"data": data})]
    assert dict(differences(records)) == rows


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["runs/a", "runs/b"], ["a", "b"]),
        (["x/run", "y/run"], ["x/run", "y/run"]),
        (["x/a/run", "x/b/run", "x/other"], ["a/run", "b/run", "x/other"]),
        (["x/run", "x/y/x/run"], ["x/run", "y/x/run"]),
    ],
)
def test_runs_of_the_same_name_are_told_apart(
    folders: list[str], names: list[str], tmp_path: Path
) -> None:
    found = labels([tmp_path / folder for folder in folders])
    assert len(set(found)) == len(found)
    assert all(one.endswith(name) for one, name in zip(found, names, strict=True))


def test_the_page_is_well_formed_and_links_the_reports_that_exist(
    make_runs: Any, tmp_path: Path
) -> None:
    runs = make_runs(a={}, b={})
    (runs[0] / "report.html").write_text("a page")
    page = Page(write_comparison(runs, tmp_path / "page.html"))
    assert page.open == []
    assert page.links == ["a/report.html"]
    assert page.texts["h1"] == ["2 runs"]


def test_a_page_about_long_runs_stays_small(
    make_run: RunMaker, training: LineMaker, tmp_path: Path
) -> None:
    draw, runs = random.Random(0), []
    for name in "abc":
        lines = [
            training(
                10 * step,
                2 + 7 / step**0.35 + draw.gauss(0, 0.1),
                gradient_norm=abs(draw.gauss(1, 0.2)),
                tokens_per_second=draw.gauss(1e5, 1e3),
                learning_rate=1e-3 / step,
            )
            for step in range(1, 4001)  # more are thinned to as many
        ]
        runs.append(make_run(lines, None, name))
    assert write_comparison(runs, tmp_path / "page.html").stat().st_size < 400_000


def test_hostile_names_and_settings_are_shown_and_not_run(make_runs: Any, tmp_path: Path) -> None:
    evil = "<script>alert(1)<script>"
    runs = make_runs(a={"config": {"preset": evil}}, **{evil: {"config": {"preset": "tiny"}}})
    page = Page(write_comparison(runs, tmp_path / "page.html"))
    assert page.tags.count("script") == 1
    assert evil in page.texts["td"]


def test_a_run_that_is_named_twice_is_a_mistake(make_runs: Any, tmp_path: Path) -> None:
    (run,) = make_runs(a={})
    with pytest.raises(CheckpointError, match="is named twice; name it once"):
        write_comparison([run, run.parent / "." / run.name], tmp_path / "page.html")


def test_all_folders_that_are_no_runs_are_reported_at_once(make_runs: Any, tmp_path: Path) -> None:
    runs = [*make_runs(a={}), tmp_path / "x", tmp_path / "y"]
    with pytest.raises(CheckpointError) as caught:
        write_comparison(runs, tmp_path / "page.html")
    assert [Path(problem.where).name for problem in caught.value.problems] == ["x", "y"]


def test_runs_that_have_made_no_step_are_waited_for(make_run: RunMaker, tmp_path: Path) -> None:
    runs = [make_run([], None, name) for name in "ab"]
    with pytest.raises(NoStepError):
        write_comparison(runs, tmp_path / "page.html")
    with pytest.raises(CheckpointError) as caught:
        write_comparison([*runs, tmp_path / "x"], tmp_path / "page.html")
    assert not isinstance(caught.value, NoStepError)


def test_a_page_that_cannot_be_written_is_reported(make_runs: Any, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be written: No such file or directory"):
        write_comparison(make_runs(a={}, b={}), tmp_path / "nowhere" / "page.html")
