from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.run.schedule import (
    FALLING,
    ScheduleConfig,
    check_schedule,
    factor,
    settled,
    warmup_steps,
)

LENGTHS = [1, 2, 3, 7, 10, 11, 40, 100, 10_003]
WARM = [None, 0, 1, 5]
KINDS = ["constant", "linear", "cosine", "inverse_sqrt", "warmup_stable_decay"]
ENDING = ["linear", "cosine", "warmup_stable_decay"]


def course(steps: int, **settings: object) -> list[float]:
    config = ScheduleConfig(**settings)  # type: ignore[arg-type]
    return [factor(config, step, steps) for step in range(steps)]


def test_cosine_follows_the_formula() -> None:
    rates = course(110, kind="cosine", warmup_steps=10, minimum=0.2)
    for step in range(10, 110):
        angle = math.pi * (step - 10) / 99
        assert rates[step] == pytest.approx(0.2 + 0.8 * (math.cos(angle) + 1) / 2)


def test_linear_falls_by_the_same_amount_every_step() -> None:
    rates = course(110, kind="linear", warmup_steps=10, minimum=0.25)
    drops = [before - after for before, after in pairwise(rates[10:])]
    assert drops == pytest.approx([0.75 / 99] * 99)


def test_inverse_sqrt_halves_when_the_steps_are_four_times_as_many() -> None:
    rates = course(1000, kind="inverse_sqrt", warmup_steps=24)
    assert rates[24] == 1.0
    assert rates[4 * 25 - 1] == pytest.approx(0.5)
    assert rates[9 * 25 - 1] == pytest.approx(1 / 3)


def test_constant_stays_at_the_peak() -> None:
    assert set(course(50, kind="constant", warmup_steps=0)) == {1.0}


def test_warmup_stable_decay_falls_in_its_last_steps_only() -> None:
    rates = course(100, kind="warmup_stable_decay", warmup_steps=10, decay_steps=20, minimum=0.0)
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == pytest.approx([1 - n / 20 for n in range(1, 21)])


def test_a_decay_of_one_step_is_a_step_at_the_minimum() -> None:
    rates = course(10, kind="warmup_stable_decay", warmup_steps=0, decay_steps=1, minimum=0.1)
    assert rates == pytest.approx([1.0] * 9 + [0.1])


def test_decay_takes_a_fifth_of_the_steps_unless_given() -> None:
    rates = course(100, kind="warmup_stable_decay", warmup_steps=0)
    assert sum(rate < 1 for rate in rates) == 20


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_warms_up_in_equal_parts(kind: str) -> None:
    rates = course(100, kind=kind, warmup_steps=9)
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])


@pytest.mark.parametrize(("steps", "warm"), [(300, 30), (5, 0), (100_000, 1000)])
def test_warm_up_takes_a_tenth_of_the_steps_and_a_thousand_at_most(steps: int, warm: int) -> None:
    assert warmup_steps(ScheduleConfig(), steps) == warm


@given(
    kind=some.sampled_from(ENDING),
    steps=some.integers(3, 400),
    warmup=some.integers(0, 400),
    minimum=some.floats(0, 1),
)
def test_the_last_step_is_made_at_the_minimum(
    kind: str, steps: int, warmup: int, minimum: float
) -> None:
    rates = course(steps, kind=kind, warmup_steps=min(warmup, steps - 2), minimum=minimum)
    assert rates[-1] == pytest.approx(minimum)


@given(kind=some.sampled_from(KINDS), steps=some.integers(2, 400), warmup=some.integers(0, 399))
def test_no_step_is_made_above_the_peak_nor_at_zero(kind: str, steps: int, warmup: int) -> None:
    warmup = min(warmup, steps - 1)
    rates = course(steps, kind=kind, warmup_steps=warmup)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[warmup] == 1.0
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def schedules(length: int) -> Iterator[ScheduleConfig]:
    """Every kind, with every warm-up that fits into a length."""
    for kind in KINDS:
        for warmup in WARM:
            for minimum in (0.0, 0.1, 1.0):
                config = ScheduleConfig(kind=kind, warmup_steps=warmup, minimum=minimum)
                if not check_schedule(config, length):
                    yield config


@pytest.mark.parametrize("length", LENGTHS)
def test_a_schedule_of_its_own_length_is_the_same_in_a_run_of_any(length: int) -> None:
    steps = range(0, length, max(1, length // 50))
    for config in schedules(length):
        own = replace(config, steps=length)
        for run in (length, length + 1, 2 * length, 1 + length // 2):
            assert warmup_steps(own, run) == warmup_steps(config, length)
            assert [factor(own, s, run) for s in steps] == [
                factor(config, s, length) for s in steps
            ]


@pytest.mark.parametrize("length", LENGTHS)
def test_after_its_length_a_schedule_goes_on_at_its_last_rate(length: int) -> None:
    for config in schedules(length):
        rates = [factor(replace(config, steps=length), s, 3 * length) for s in (length, 2 * length)]
        if config.kind == "inverse_sqrt":
            assert 0 < rates[1] < rates[0] <= 1
        else:
            end = 1.0 if config.kind == "constant" else config.minimum
            assert rates == [pytest.approx(end)] * 2


@pytest.mark.parametrize("length", LENGTHS)
def test_a_run_goes_on_to_twice_its_steps_without_a_rise(length: int) -> None:
    """Unless the rate has come to 0, at which nothing would be learned."""
    for config in schedules(length):
        kept = settled(config, length, 2 * length)
        before, after = (factor(kept, step, 2 * length) for step in (length - 1, length))
        if config.kind in FALLING and not config.minimum:
            assert kept == config
        else:
            assert before == pytest.approx(factor(config, length - 1, length))
            assert 0 < after <= before


def test_a_longer_run_without_a_length_of_the_schedule_has_other_rates() -> None:
    config = ScheduleConfig(kind="cosine", warmup_steps=0)
    assert factor(config, 199, 200) == pytest.approx(0.1)
    assert factor(config, 200, 400) == pytest.approx(0.55, abs=0.01)
    assert settled(config, 200, 400) == replace(config, steps=200)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_at_a_rate_of_nothing_are_refused(kind: str) -> None:
    config = ScheduleConfig(kind=kind, warmup_steps=0, minimum=0.0, steps=50)
    problems = check_schedule(config, 51)
    assert [problem.where for problem in problems] == ["schedule.steps"] * (kind in FALLING)
    assert not check_schedule(config, 50)
    assert not check_schedule(replace(config, minimum=0.1), 51)


def test_a_warm_up_must_fit_into_the_schedule() -> None:
    config = ScheduleConfig(warmup_steps=20, steps=20)
    assert [str(problem) for problem in check_schedule(config, 100)] == [
        "schedule.warmup_steps = 20: leaves none of the 20 steps after the warm-up; "
        "use at most 19, or null"
    ]
