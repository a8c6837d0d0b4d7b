from __future__ import annotations

import math
from pathlib import Path

from helpers.run_folders import LineMaker, RunMaker

from dslm.report.findings import findings
from dslm.report.record import read_record
from dslm.run.learning import LOWER


def odd(run: Path) -> dict[str, str]:
    return {finding.title: finding.text for finding in findings(read_record(run))}


def test_a_steady_run_has_nothing_odd(make_run: RunMaker, training: LineMaker) -> None:
    assert odd(make_run([training(step, 3.0 - step / 100) for step in range(1, 101)])) == {}


def test_a_loss_that_is_not_finite_is_reported_with_its_first_step(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [training(1, 3.0), training(2, math.nan), training(3, math.inf), training(4, 3.0)]
    assert odd(make_run(lines)) == {"Loss not finite": "2 of 4 logged losses, the first at step 2."}


def test_a_spike_is_reported_with_its_height(make_run: RunMaker, training: LineMaker) -> None:
    lines = [training(step, 7.5 if step == 60 else 2.0) for step in range(1, 101)]
    found = odd(make_run(lines))
    assert list(found) == ["Loss spikes"]
    assert "1 line above" in found["Loss spikes"]
    assert "7.50, at step 60" in found["Loss spikes"]


def test_slow_steps_are_reported_but_not_the_first_of_a_process(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [training(step, 2.0) for step in range(1, 21)]
    lines[0]["tokens_per_second"] = 5.0
    assert odd(make_run(lines)) == {}


def test_a_slow_step_is_reported(make_run: RunMaker, training: LineMaker) -> None:
    lines = [training(step, 2.0) for step in range(1, 21)]
    lines[12]["tokens_per_second"] = 5.0
    found = odd(make_run(lines))
    assert list(found) == ["Slow steps"]
    assert "the lowest, 5, at step 13" in found["Slow steps"]


def test_a_validation_loss_that_turned_is_reported(make_run: RunMaker, training: LineMaker) -> None:
    validation = [{"step": 2, "validation_loss": 2.0}, {"step": 3, "validation_loss": 2.5}]
    found = odd(make_run([training(1, 2.0), *validation]))
    assert found == {
        "Validation loss rose": "Validation loss was best, 2.0000, at step 2 and ended at 2.5000."
    }


def test_a_loss_near_uniform_guessing_is_reported(make_run: RunMaker, training: LineMaker) -> None:
    config = {"model": {"vocabulary": 8000}}
    lines = [training(step, 8.9) for step in range(1, 61)]
    assert list(odd(make_run(lines, config=config))) == ["Little learnt"]


def test_a_run_of_a_few_steps_is_not_said_to_have_learnt_little(
    make_run: RunMaker, training: LineMaker
) -> None:
    config = {"model": {"vocabulary": 8000}}
    assert odd(make_run([training(step, 8.9) for step in range(1, 10)], config=config)) == {}


def test_a_gradient_that_stays_infinite_is_a_divergence(
    make_run: RunMaker, training: LineMaker
) -> None:
    lines = [training(step, 3.0, gradient_norm=1.0 if step < 5 else None) for step in range(1, 9)]
    (found,) = findings(read_record(make_run(lines)))
    assert (found.level, found.title) == ("bad", "Diverged")
    assert LOWER in found.text


def test_a_loss_far_above_uniform_guessing_is_reported_as_worse(
    make_run: RunMaker, training: LineMaker
) -> None:
    config = {"model": {"vocabulary": 8000}}
    run = make_run([training(step, 25.0) for step in range(1, 30)], config=config)
    (found,) = findings(read_record(run))
    assert (found.level, found.title) == ("bad", "Diverged")
    assert "far above that of guessing, 8.99" in found.text
    assert LOWER in found.text
    assert "raise" not in found.text


def test_steps_that_float16_left_out_are_reported(make_run: RunMaker, training: LineMaker) -> None:
    lines = [{**training(step, 2.0), "skipped_steps": step // 2} for step in range(1, 6)]
    assert odd(make_run(lines)) == {"Skipped steps": "float16's loss scale left out 2 steps."}


def test_resumes_and_unreadable_lines_are_reported(make_run: RunMaker, training: LineMaker) -> None:
    lines = [training(1, 3.0), training(2, 2.9), '{"step": 3', training(2, 2.9)]
    assert odd(make_run(lines)) == {
        "Resumed": "after step 1.",
        "Unreadable lines": "1 in metrics.jsonl, as a killed process leaves behind; left out here.",
    }


def test_checkpoints_that_could_not_be_written_are_reported(
    make_run: RunMaker, training: LineMaker
) -> None:
    failed = [{"step": step, "reason": "No space left on device"} for step in (4, 6)]
    found = odd(make_run([training(1, 3.0)], failed_saves=failed))
    assert found == {
        "Checkpoints missing": (
            "Those of step 4, 6 could not be written; the last time: No space left on device."
        )
    }
