from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.run_folders import RunMaker

from dslm.errors import CheckpointError, ConfigError
from dslm.report.record import order, read_record


def lines(*entries: dict[str, object]) -> list[str]:
    return [json.dumps(entry) for entry in entries]


def test_after_a_resume_the_later_line_of_a_step_wins() -> None:
    log = order(
        lines(
            {"step": 1, "loss": 5.0},
            {"step": 2, "loss": 4.0},
            {"step": 3, "loss": 3.0},
            {"step": 2, "loss": 4.5},
            {"step": 3, "loss": 3.5},
        )
    )
    assert [(entry.step, entry.values["loss"]) for entry in log.training] == [
        (1, 5.0),
        (2, 4.5),
        (3, 3.5),
    ]
    assert log.resumes == [1]


def test_steps_that_were_taken_back_and_not_yet_repeated_are_gone() -> None:
    log = order(
        lines(
            {"step": 10, "loss": 5.0},
            {"step": 20, "loss": 4.0},
            {"step": 20, "validation_loss": 4.1},
            {"step": 30, "loss": 3.0},
            {"step": 11, "loss": 4.9},
        )
    )
    assert [entry.step for entry in log.training] == [10, 11]
    assert log.evaluations == ()


def test_a_resume_that_repeats_no_step_shows_in_the_clock() -> None:
    log = order(
        lines(
            {"step": 1, "loss": 5.0, "seconds": 10.0},
            {"step": 2, "loss": 4.0, "seconds": 20.0},
            {"step": 3, "loss": 3.0, "seconds": 4.0},
        )
    )
    assert log.resumes == [2]
    assert log.seconds == 24.0


def test_time_spent_on_lost_steps_counts() -> None:
    log = order(
        lines(
            {"step": 1, "loss": 5.0, "seconds": 10.0},
            {"step": 2, "loss": 4.0, "seconds": 20.0},
            {"step": 2, "validation_loss": 4.0, "seconds": 1.0},
            {"step": 3, "loss": 3.0, "seconds": 30.0},
            {"step": 2, "loss": 4.0, "seconds": 5.0},
        )
    )
    assert log.seconds == 35.0


def test_an_evaluation_at_the_step_of_a_training_line_takes_nothing_back() -> None:
    log = order(
        lines(
            {"step": 5, "loss": 2.0},
            {"step": 5, "validation_loss": 2.1},
            {"step": 5, "validation_loss": 2.2},
        )
    )
    assert [entry.values["loss"] for entry in log.training] == [2.0]
    assert [entry.values["validation_loss"] for entry in log.evaluations] == [2.2]
    assert log.resumes == []


def test_lines_cut_short_are_counted_and_left_out() -> None:
    log = order(
        ['{"step": 1, "loss": 5.0}', '{"step": 2, "lo', '{"step": 2, "loss": 4.0}', "7", ""]
    )
    assert [entry.step for entry in log.training] == [1, 2]
    assert log.unreadable == 2


def test_a_missing_folder_is_reported_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_record(tmp_path / "nowhere")
    rule = (
        "is not the folder of a run: it does not exist; give the folder that pretrain made (run=)"
    )
    assert str(caught.value) == f"{tmp_path / 'nowhere'}: {rule}"


def test_a_folder_without_run_json_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not the folder of a run: it has no run\.json"):
        read_record(tmp_path)


def test_a_broken_run_json_is_reported(make_run: RunMaker) -> None:
    run = make_run([{"step": 1, "loss": 2.0}], {"run.json": '{"format": 1, "conf'})
    with pytest.raises(ConfigError, match=r"run\.json, line 1, column 15: is not JSON"):
        read_record(run)


def test_a_run_without_a_step_is_reported(make_run: RunMaker) -> None:
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: holds no training step yet"):
        read_record(make_run([]))


def test_a_fact_that_is_missing_anywhere_on_its_path_is_none(make_run: RunMaker) -> None:
    record = read_record(make_run([{"step": 1, "loss": 2.0}], config={"model": {"width": 8}}))
    assert record.fact(int, "config", "model", "width") == 8
    assert record.fact(int, "config", "model", "width", "deeper") is None
    assert record.fact(int, "plan", "world") is None
