from __future__ import annotations

import io

import pytest

from dslm.progress import LINE_EVERY, Progress, duration, human


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.1234, "0.123"),
        (999, "999"),
        (1000, "1k"),
        (1234567, "1.23M"),
        (-2500, "-2.5k"),
        (7e9, "7G"),
        (1.5e13, "15T"),
    ],
)
def test_a_count_has_three_digits_and_a_suffix(number: float, text: str) -> None:
    assert human(number) == text


@pytest.mark.parametrize("number", [999.7, 999_500, 999_999, 999_999_999])
def test_a_count_just_below_a_suffix_needs_no_exponent(number: float) -> None:
    assert "e" not in human(number)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.4, "0s"),
        (59.6, "1m00s"),
        (61, "1m01s"),
        (3599.9, "1h00m"),
        (3725, "1h02m"),
        (90000, "1d01h"),
    ],
)
def test_a_span_is_reported_in_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_log_file_gets_a_line_at_times_with_rate_and_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("dslm.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(1000, "B", "reading", stream) as progress:
        for _ in range(9):
            now[0] += LINE_EVERY / 2 + 0.1
            progress.advance(100)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[0] == "reading: 20 %, 19.6B/s, 41s left"


def test_short_work_says_nothing_in_a_log_file() -> None:
    stream = io.StringIO()
    with Progress(10, "B", "reading", stream) as progress:
        progress.advance(10)
    assert stream.getvalue() == ""


def test_a_total_of_nothing_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("dslm.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress(0, "B", "reading", stream) as progress:
        now[0] = 60.0
        progress.advance(0)
    assert stream.getvalue() == "reading: 100 %, 0B/s, unknown left\n"


def test_a_terminal_gets_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress(1000, "B", "reading", stream) as progress:
        progress.advance(1000)
    assert "reading" in stream.getvalue()
