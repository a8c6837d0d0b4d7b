from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dslm.run.metrics import Line, Metrics
from dslm.train.output import UserStream
from dslm.train.run_logger import LINES, RunLogger
from dslm.train.throughput import Throughput


class Messages(UserStream):
    """What the user would see."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO())

    def getvalue(self) -> str:
        return bytes(self.buffer.getvalue()).decode()  # type: ignore[attr-defined]


class Terminal(Messages):
    def isatty(self) -> bool:
        return True


def line(step: int, **more: float | None) -> Line:
    figures = {"loss": 2.5, "learning_rate": 1e-3, "gradient_norm": 0.5, "tokens_per_second": 1e4}
    return {"step": step, **figures, **more}


def test_a_line_has_the_figures_a_user_watches() -> None:
    messages = Messages()
    RunLogger(1000, None, messages).log(line(1, mfu=0.43), Throughput(1000, 10))
    assert messages.getvalue() == (
        "step 1/1,000 · time left not known yet · loss 2.5000 · learning rate 1.00e-03 · "
        "norm 0.50 · 10k tokens/s · MFU 43 %\n"
    )


def test_figures_that_are_not_known_are_left_out() -> None:
    messages = Messages()
    RunLogger(1000, None, messages).log(line(1, gradient_norm=None), Throughput(1000, 10))
    assert "norm" not in messages.getvalue()
    assert "MFU" not in messages.getvalue()


def test_steps_that_were_skipped_are_shown_when_there_are_any() -> None:
    messages = Messages()
    logger = RunLogger(2, None, messages)
    for count in (0, 1):
        logger.log(line(count + 1, skipped_steps=count), Throughput(2, 10))
    before, after = messages.getvalue().splitlines()
    assert "skipped" not in before
    assert after.endswith(" · 1 step skipped")


def test_a_user_sees_some_lines_and_the_file_has_all(tmp_path: Path) -> None:
    messages = Messages()
    with Metrics(tmp_path / "metrics.jsonl", 0) as metrics:
        logger = RunLogger(1000, metrics, messages)
        for step in range(1, 1001):
            logger.log(line(step), Throughput(1000, 10))
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1000
    shown = messages.getvalue().splitlines()
    assert LINES <= len(shown) <= LINES + 1
    assert shown[0].startswith("step 1/1,000")
    assert shown[-1].startswith("step 1,000/1,000")


def test_every_validation_loss_is_shown() -> None:
    messages = Messages()
    logger = RunLogger(1000, None, messages)
    for step in (1, 2):
        logger.log({"step": step, "validation_loss": 1.25}, Throughput(1000, 10))
    assert messages.getvalue().splitlines()[1] == "step 2/1,000 · validation loss 1.2500"


def test_ranks_without_a_user_are_silent() -> None:
    logger = RunLogger(10, None, None)
    logger.message("a word")
    logger.heartbeat(1, Throughput(10, 10))
    logger.log(line(1), Throughput(10, 10))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("dslm.train.output.time.monotonic", lambda: now[0])
    return now


def test_a_log_file_gets_a_sign_of_life_after_a_long_silence(clock: list[float]) -> None:
    messages = Messages()
    logger, throughput = RunLogger(100, None, messages), Throughput(100, 10)
    for seconds in (1.0, 9.0, 11.0, 12.0, 22.5):
        clock[0] = seconds
        logger.heartbeat(int(seconds), throughput)
    assert [text.partition("/")[0] for text in messages.getvalue().splitlines()] == [
        "step 11",
        "step 22",
    ]


def test_a_terminal_has_one_line_that_is_written_over(clock: list[float]) -> None:
    messages = Terminal()
    logger, throughput = RunLogger(100, None, messages), Throughput(100, 10)
    for seconds in (1.0, 1.2, 2.0):
        clock[0] = seconds
        logger.heartbeat(int(seconds), throughput)
    logger.message("a word")
    shown = messages.getvalue()
    assert shown.count("\r\033[Kstep") == 2
    assert shown.endswith("\r\033[Ka word\n")
    assert shown.count("\n") == 1


def test_metrics_are_written_even_where_nobody_listens(tmp_path: Path) -> None:
    with Metrics(tmp_path / "metrics.jsonl", 0) as metrics:
        RunLogger(10, metrics, None).log(line(1), Throughput(10, 10))
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == 2.5
