"""What the page says about rounding to few bits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker

from dslm.errors import DataError
from dslm.report import write_report
from dslm.report.quantization import bars, section, verdict


def record(**losses: float) -> dict[str, Any]:
    models = [
        {
            "kind": kind,
            "run": "runs/a",
            "step": 9,
            "loss": loss,
            "perplexity": None if kind == "trained" else 20.5,
            "map_bytes": 4_000_000,
            "bytes": 6_000_000,
            "tokens_per_second": 1234.5,
        }
        for kind, loss in losses.items()
    ]
    layers = {"2.attention.project": 0.01, "2.<b>": -0.002, "2.feed_forward.leave": 0.04}
    more = {"scheme": "w4", "data": "shards/validation", "sensitivity_rows": 64}
    return {"models": models, "sensitivity": layers, **more}


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (
            {"float": 3.0, "nearest": 3.1, "calibrated": 3.04, "trained": 3.009},
            "Rounded to w4 after training, the loss is 0.1000 above that of floats, with "
            "calibration 0.0400 above it. Trained rounded, it is 0.0090 above it: training for "
            "few bits recovers 91 % of what rounding loses.",
        ),
        (
            {"float": 3.0, "nearest": 3.1, "trained": 2.9},
            "Rounded to w4 after training, the loss is 0.1000 above that of floats. Trained "
            "rounded, it is 0.1000 below it: training for few bits recovers all of what "
            "rounding loses.",
        ),
        (
            {"float": 3.0, "nearest": 2.99, "trained": 3.2},
            "Rounded to w4 after training, the loss is 0.0100 below that of floats. Trained "
            "rounded, it is 0.2000 above it.",
        ),
        (
            {"float": 3.0, "nearest": 3.1, "trained": 3.2},
            "Rounded to w4 after training, the loss is 0.1000 above that of floats. Trained "
            "rounded, it is 0.2000 above it.",
        ),
        (
            {"float": 3.0, "nearest": 3.25},
            "Rounded to w4 after training, the loss is 0.2500 above that of floats.",
        ),
    ],
)
def test_the_comparison_in_a_sentence(losses: dict[str, float], said: str) -> None:
    assert verdict(record(**losses)) == said


def test_the_longest_bar_is_full_and_what_does_no_harm_has_none() -> None:
    assert bars({"a": 0.01, "b": -0.002, "c": 0.04}) == [
        ("a", "25.0", "+0.01000"),
        ("b", "0.0", "-0.00200"),
        ("c", "100.0", "+0.04000"),
    ]
    assert bars({"a": -0.5}) == [("a", "0.0", "-0.50000")]
    assert bars({}) == []


def test_the_table_has_a_row_for_each_model() -> None:
    _, *rows = section(record(float=3.0, nearest=3.1, trained=3.02)).rows
    assert rows == [
        ("float", "3.0000", "+0.0000", "20.500", "4MB", "6MB", "1.23k"),
        ("rounded after training", "3.1000", "+0.1000", "20.500", "4MB", "6MB", "1.23k"),
        ("trained rounded", "3.0200", "+0.0200", "", "4MB", "6MB", "1.23k"),
    ]


@pytest.mark.parametrize("found", [{}, {"models": []}, {**record(float=3.0), "data": 1}, []])
def test_one_of_another_form_is_reported(found: Any) -> None:
    with pytest.raises(DataError, match="is of another form; run dslm quantization again"):
        section(found)


def test_the_page_shows_it_where_it_was_measured(make_run: RunMaker, training: LineMaker) -> None:
    run = make_run([training(1, 2.0)])
    assert "Quantization" not in write_report(run).read_text()
    (run / "quantization.json").write_text(json.dumps(record(float=3.0, nearest=3.1)))
    page = write_report(run).read_text()
    assert "<h2>Quantization</h2>" in page
    assert "the loss is 0.1000 above that of floats." in page
    assert '<th scope="row">rounded after training</th><td>3.1000</td>' in page
    assert '<span>2.feed_forward.leave</span><i style="width: 100.0%"></i>' in page
    assert "64 rows of shards/validation" in page
    assert "<span>2.&lt;b&gt;</span>" in page
