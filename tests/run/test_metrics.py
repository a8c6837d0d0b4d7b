from __future__ import annotations

import json
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from dslm.run.metrics import Metrics, read_metrics, skipped_steps


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_line_is_in_the_file_as_soon_as_it_is_written(path: Path) -> None:
    with Metrics(path, 0) as metrics:
        metrics.write({"step": 1, "loss": 2.5})
        assert written(path) == [{"step": 1, "loss": 2.5}]
        metrics.write({"step": 2, "loss": 2.25})
        assert len(written(path)) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None])
def test_a_number_that_json_does_not_have_becomes_null(path: Path, value: float | None) -> None:
    with Metrics(path, 0) as metrics:
        metrics.write({"step": 1, "loss": value})
    assert path.read_text() == '{"step": 1, "loss": null}\n'


def test_going_on_removes_the_lines_of_steps_that_are_made_again(path: Path) -> None:
    with Metrics(path, 0) as metrics:
        for step in range(1, 6):
            metrics.write({"step": step, "loss": 1 / step})
        metrics.write({"step": 5, "validation_loss": 0.1})
    before = path.read_text().splitlines()
    with Metrics(path, 3) as metrics:
        metrics.write({"step": 4, "loss": 9.0})
    assert path.read_text().splitlines() == [*before[:3], '{"step": 4, "loss": 9.0}']


def test_the_cut_line_of_a_killed_run_is_passed_over(path: Path) -> None:
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert read_metrics(path) == [{"step": 1, "loss": 2.0}]
    with Metrics(path, 1) as metrics:
        metrics.write({"step": 2, "loss": 1.5})
    assert [line["step"] for line in written(path)] == [1, 2]


def test_a_file_that_is_not_there_has_no_lines(path: Path) -> None:
    assert read_metrics(path) == []


def test_tensorboard_gets_every_number_but_the_step(path: Path, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    with Metrics(path, 0, [tensorboard.SummaryWriter(str(tmp_path / "board"))]) as metrics:
        metrics.write({"step": 1, "loss": 2.5, "gradient_norm": None})
    (events,) = (tmp_path / "board").iterdir()
    content = events.read_bytes()
    assert b"loss" in content
    assert b"gradient_norm" not in content


def test_skipped_steps_are_counted_on_from_where_a_run_resumes(path: Path) -> None:
    with Metrics(path, 0) as metrics:
        for step, count in ((10, 0), (20, 3), (30, 4)):
            metrics.write({"step": step, "loss": 2.0, "skipped_steps": count})
        metrics.write({"step": 30, "validation_loss": 2.0})
    assert [skipped_steps(path, step) for step in (5, 10, 25, 30)] == [0, 0, 3, 4]


def test_a_file_that_was_removed_is_written_again_with_all_that_it_held(path: Path) -> None:
    folder = path.parent / "run"
    folder.mkdir()
    told: list[int] = []
    with Metrics(folder / path.name, 0, is_gone=lambda: told.append(1)) as metrics:
        for step in range(1, 7):
            metrics.write({"step": step})
            if step == 2:
                shutil.rmtree(folder)
            if step == 4:
                metrics.path.unlink()
        metrics.path.unlink()
        metrics.forget_after(5)
    assert [line["step"] for line in written(metrics.path)] == [1, 2, 3, 4, 5]
    assert len(told) == 3


def test_lines_that_cannot_be_written_are_written_when_they_can(path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Metrics(path, 0) as metrics:
        metrics.write({"step": 1})
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 3, before[1]))
        for step in (2, 3):
            metrics.write({"step": step})
            assert metrics.failure is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        metrics.write({"step": 4})
        assert metrics.failure is None
    assert [line["step"] for line in written(path)] == [1, 2, 3, 4]
