from __future__ import annotations

import json
import math
from pathlib import Path

from helpers.run_folders import LineMaker, RunMaker

from dslm.report.chart import PLAIN
from dslm.report.curves import charts
from dslm.report.figures import figures, uniform_loss, verdict
from dslm.report.record import read_record


def values(run: Path) -> dict[str, str]:
    return {figure.label: figure.value for figure in figures(read_record(run))}


def test_every_figure_equals_the_one_in_the_files(make_run: RunMaker, training: LineMaker) -> None:
    evaluation = {
        "data": "shards/test",
        "step": 3,
        "loss": 1.7123,
        "perplexity": 5.5417,
        "bits_per_byte": 1.1022,
        "tokens": 4096,
    }
    run = make_run(
        [
            training(1, 9.0, tokens_per_second=100.0, mfu=0.30, memory_gib=3.5),
            training(2, 4.0, tokens_per_second=300.0, mfu=0.41, memory_gib=3.0),
            {"step": 2, "validation_loss": 3.5},
            training(3, 2.12361, tokens_per_second=200.0, mfu=0.50, memory_gib=3.0),
            {"step": 3, "validation_loss": 3.61},
        ],
        {"evaluation.json": json.dumps(evaluation)},
        data={"validation": {"folder": "shards/held"}},
    )
    assert values(run) == {
        "Training loss": "2.1236",
        "Validation loss": "3.6100",
        "Evaluation loss": "1.7123",
        "Perplexity": "5.54",
        "Bits per byte": "1.1022",
        "Tokens seen": "1.54k",
        "Time": "6s",
        "Tokens per second": "200",
        "MFU": "41.0 %",
        "Memory per rank": "3.50 GiB",
    }
    hints = {figure.label: figure.hint for figure in figures(read_record(run))}
    assert hints["Validation loss"] == "on shards/held; best 3.5000 at step 2"
    assert hints["Evaluation loss"] == "on shards/test, 4.1k tokens, at step 3"
    assert hints["Perplexity"] == hints["Bits per byte"] == "evaluated on shards/test"
    assert hints["Tokens seen"] == "1,536"


def test_what_was_not_logged_has_no_figure(make_run: RunMaker) -> None:
    assert values(make_run([{"step": 1, "loss": 3.0}])) == {"Training loss": "3.0000"}


def test_without_an_evaluation_the_perplexity_is_that_of_the_validation(
    make_run: RunMaker, training: LineMaker
) -> None:
    run = make_run([training(1, 3.0), {"step": 1, "validation_loss": 2.0}])
    assert values(run)["Perplexity"] == f"{math.exp(2):.2f}"


def test_the_perplexity_is_that_of_tokens_alone(make_run: RunMaker, training: LineMaker) -> None:
    pairs = {"kind": "masked", "masked": {"pairs": "next_sentence"}}
    line = {"step": 1, "validation_loss": 2.6, "validation_masked_loss": 2.0}
    run = make_run([training(1, 3.0), line], config={"objective": pairs})
    assert values(run)["Perplexity"] == f"{math.exp(2):.2f}"


def test_vectors_have_no_perplexity(make_run: RunMaker, training: LineMaker) -> None:
    vectors = {"kind": "autoencoder", "autoencoder": {"loss": "squared_error"}}
    run = make_run(
        [training(1, 3.0), {"step": 1, "validation_loss": 2.0}], config={"objective": vectors}
    )
    assert "Perplexity" not in values(run)


def test_a_validation_loss_beyond_all_bounds_still_has_a_figure(
    make_run: RunMaker, training: LineMaker
) -> None:
    run = make_run([training(1, 3.0), {"step": 1, "validation_loss": math.inf}])
    assert values(run)["Validation loss"] == "inf"
    assert values(run)["Perplexity"] == "1.01e+304"


def test_uniform_guessing_costs_the_logarithm_of_the_vocabulary(
    make_run: RunMaker, training: LineMaker
) -> None:
    record = read_record(make_run([training(1, 3.0)], config={"model": {"vocabulary": 8000}}))
    assert uniform_loss(record) == math.log(8000)


def test_vectors_are_not_guessed(make_run: RunMaker, training: LineMaker) -> None:
    vectors = {"kind": "autoencoder", "autoencoder": {"loss": "squared_error"}}
    config = {"model": {"vocabulary": 8000}, "objective": vectors}
    assert uniform_loss(read_record(make_run([training(1, 3.0)], config=config))) is None


def test_the_card_and_the_chart_name_the_same_smoothing(
    make_run: RunMaker, training: LineMaker
) -> None:
    record = read_record(make_run([training(step, 9 - step / 100) for step in range(1, 301)]))
    (hint,) = (figure.hint for figure in figures(record) if figure.label == "Training loss")
    names = [line.name for line in charts(record)[0].lines if PLAIN in line.at]
    assert names == ["training", "median of 13 lines"]
    assert hint == "6.0300 smoothed, median of 13 lines"


def test_the_figures_are_of_unrounded_weights_where_they_were_evaluated(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [
        {"step": 1, "fingerprint": "a", "scheme": scheme, "data": "shards/test", "loss": loss}
        for scheme, loss in (("none", 2.0), ("w4", 2.5))
    ]
    run = make_run([training(1, 3.0)], {"evaluations.jsonl": "\n".join(map(json.dumps, lines))})
    assert values(run)["Evaluation loss"] == "2.0000"
    (run / "evaluations.jsonl").write_text(json.dumps(lines[1]))
    hints = {figure.label: figure.hint for figure in figures(read_record(run))}
    assert hints["Evaluation loss"] == "on shards/test, at step 1, rounded to w4"


def test_the_verdict_says_how_far_and_what_broke(make_run: RunMaker, training: LineMaker) -> None:
    run = make_run(
        [training(1, 9.0), training(2, None), training(3, 4.0)],
        config={"steps": 5000, "model": {"vocabulary": 8000}},
    )
    assert verdict(read_record(run)) == (
        "3 of 5,000 steps: training loss went from 9.00 to 4.00. "
        "A model that only guesses has a loss of 8.99. 1 of 3 logged losses are not finite."
    )
