"""A run ends when it is good enough, or has not become better for too long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.run.best import Measured
from dslm.run.config import RunConfig
from dslm.run.settings import settings
from dslm.train.early_stopping import EarlyStopping


def config(*more: str) -> RunConfig:
    return settings(["tiny", "data.train=a", "data.validation=b", "run=c", *more], None)


def measured(loss: float, f1: float | None = None, data: str = "a", by: str = "f1") -> Measured:
    return Measured(loss, data, 9, {} if f1 is None else {"f1": f1}, by)


def course(stopping: EarlyStopping, found: list[Measured]) -> list[bool]:
    return [stopping.reason(one) is not None for one in found]


def test_a_metric_that_does_not_rise_ends_a_run_though_its_loss_falls() -> None:
    found = [measured(3.0, 0.5), measured(2.0, 0.4), measured(1.0, 0.4)]
    stopping = EarlyStopping(config("patience=2"), {})
    assert course(stopping, found) == [False, False, True]
    again = EarlyStopping(config("patience=2"), {})
    by_loss = [Measured(one.loss, "a", 9, one.metrics) for one in found]
    assert course(again, by_loss) == [False, False, False]
    last = stopping.reason(measured(0.5, 0.3))
    assert last == "validation f1 not above 0.5000 for 3 measurements"


def test_of_equal_metrics_the_lower_loss_is_better() -> None:
    found = [measured(3.0, 0.5), measured(2.0, 0.5), measured(2.0, 0.5), measured(2.5, 0.5)]
    assert course(EarlyStopping(config("patience=2"), {}), found) == [False, False, False, True]


def test_a_target_loss_is_one_of_the_loss_whatever_the_metric() -> None:
    stopping = EarlyStopping(config("target_loss=1"), {})
    assert stopping.reason(measured(1.5, 1.0)) is None
    assert stopping.reason(measured(1.0, 0.0)) == (
        "validation loss 1.0000 reached target_loss = 1.0"
    )


def test_other_data_are_not_compared_with_those_of_before() -> None:
    stopping = EarlyStopping(config("patience=1"), {})
    assert stopping.reason(measured(1.0, 0.9)) is None
    resumed = EarlyStopping(config("patience=1"), stopping.numbers())
    assert resumed.reason(measured(2.0, 0.1, data="b")) is None
    same = EarlyStopping(config("patience=1"), stopping.numbers())
    assert same.reason(measured(2.0, 0.1)) is not None


figures = st.lists(st.builds(measured, st.sampled_from([1.0, 2.0]), st.sampled_from([0.1, 0.2])))


@given(figures, st.integers(0, 9))
def test_a_run_that_is_resumed_stops_where_it_would_have(found: list[Measured], at: int) -> None:
    whole, half = (EarlyStopping(config("patience=2"), {}) for _ in range(2))
    state: dict[str, Any] = {}
    for one in found[:at]:
        half.reason(one)
        state = half.numbers()
    resumed = EarlyStopping(config("patience=2"), state)
    assert course(whole, found)[at:] == course(resumed, found[at:])


@pytest.mark.parametrize("state", [{}, {"best_validation": 3, "misses": 2}, {"misses": 2}])
def test_a_state_that_says_nothing_begins_anew(state: dict[str, Any]) -> None:
    stopping = EarlyStopping(config("patience=1"), state)
    assert stopping.reason(measured(1.0)) is None


def test_another_metric_than_before_begins_the_count_anew() -> None:
    before = EarlyStopping(config("patience=2"), {})
    by_loss = [Measured(loss, "a", 9, {"f1": 0.9}) for loss in (1.0, 2.0)]
    assert course(before, by_loss) == [False, False]
    resumed = EarlyStopping(config("patience=2"), before.numbers())
    found = [measured(3.0, 0.5), measured(3.0, 0.4), measured(3.0, 0.3)]
    assert course(resumed, found) == [False, False, True]
    assert resumed.best == found[0]
