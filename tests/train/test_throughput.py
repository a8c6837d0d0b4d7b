from __future__ import annotations

from contextlib import suppress

import pytest

from dslm.train.throughput import WARM_UP, Throughput


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that goes when a test says so: its only number is the time."""
    now = [100.0]
    monkeypatch.setattr("dslm.train.throughput.time.monotonic", lambda: now[0])
    return now


def test_there_is_no_estimate_before_the_warm_up_is_over(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    for _ in range(WARM_UP):
        assert throughput.left() is None
        clock[0] += 60
        throughput.step()
    assert throughput.left() is None
    clock[0] += 1
    throughput.step()
    assert throughput.left() is not None


def test_slow_first_steps_are_not_counted_in(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    for step in range(20):
        clock[0] += 60 if step < WARM_UP else 2
        throughput.step()
    assert throughput.left() == pytest.approx(80 * 2)


def test_the_rate_is_that_since_it_was_last_asked_for(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    for seconds, steps in ((4.0, 2), (1.0, 5)):
        clock[0] += seconds
        for _ in range(steps):
            throughput.step()
        assert throughput.tokens_per_second() == pytest.approx(10 * steps / seconds)


def test_what_is_no_training_counts_for_the_time_left_and_not_for_the_rate(
    clock: list[float],
) -> None:
    throughput = Throughput(100, 10)
    for _ in range(20):
        clock[0] += 1
        throughput.step()
    with throughput.paused():
        clock[0] += 5
    assert throughput.tokens_per_second() == pytest.approx(10)
    assert throughput.seconds() == pytest.approx(25)
    assert throughput.left() == pytest.approx(80 * 25 / 20)


def test_the_clock_goes_on_after_an_error_in_a_pause(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    with suppress(ValueError), throughput.paused():
        clock[0] += 3
        raise ValueError
    clock[0] += 1
    throughput.step()
    assert throughput.tokens_per_second() == pytest.approx(10)


def test_nothing_is_left_at_the_end(clock: list[float]) -> None:
    throughput = Throughput(10, 10)
    for _ in range(10):
        clock[0] += 1
        throughput.step()
    assert throughput.left() == 0


def test_what_is_compiled_in_the_first_step_is_no_part_of_any_figure(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    clock[0] += 1
    with throughput.compiled():
        clock[0] += 300
    clock[0] += 50  # for ranks that compile longer
    throughput.step()
    assert throughput.tokens_per_second() is None
    for _ in range(20):
        clock[0] += 2
        throughput.step()
    assert throughput.tokens_per_second() == pytest.approx(10 / 2)
    assert throughput.left() == pytest.approx(79 * 2)
    assert throughput.seconds() == pytest.approx(391)


def test_what_is_compiled_in_a_pause_spoils_no_step(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    for _ in range(20):
        clock[0] += 1
        throughput.step()
    with throughput.paused():
        clock[0] += 2
        with throughput.compiled():
            clock[0] += 500
        clock[0] += 3
    clock[0] += 1
    throughput.step()
    assert throughput.tokens_per_second() == pytest.approx(10)
    assert throughput.left() == pytest.approx(79 * (1 + 5 / 21))


def test_a_later_step_in_which_something_is_compiled_is_left_out(clock: list[float]) -> None:
    throughput = Throughput(100, 10)
    for step in range(20):
        clock[0] += 1
        if step == 10:
            with throughput.compiled():
                clock[0] += 70
            clock[0] += 9
        throughput.step()
    assert throughput.tokens_per_second() == pytest.approx(10)
    assert throughput.left() == pytest.approx(80)
