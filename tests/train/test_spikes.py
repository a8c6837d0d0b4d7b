"""What is a spike: a loss far above those of the steps before it."""

from __future__ import annotations

import math

import pytest

from dslm.run.bad_steps import BadStepsConfig
from dslm.train.spikes import Spikes


@pytest.fixture
def spikes() -> Spikes:
    """Four losses of mean 2 and deviation 0.1 × √(4/3) are known."""
    spikes = Spikes(BadStepsConfig(spike="skip", deviations=3, window=4))
    for step, loss in enumerate((1.9, 2.1, 1.9, 2.1), 1):
        assert spikes.limit(step) is None
        assert spikes.judge(step, loss) is None
    return spikes


def test_the_limit_is_some_deviations_above_the_mean(spikes: Spikes) -> None:
    assert spikes.limit(5) == pytest.approx(2 + 3 * 0.1 * math.sqrt(4 / 3))


def test_a_loss_above_it_is_a_spike_and_none_of_those_to_compare_with(spikes: Spikes) -> None:
    limit = spikes.limit(5)
    reason = spikes.judge(5, 3.0)
    assert reason is not None
    assert reason.startswith("the loss 3.0000 of step 5 is a spike")
    assert spikes.limit(6) == limit
    assert spikes.judge(6, 2.2) is None
    assert spikes.limit(7) != limit


def test_a_loss_that_is_not_finite_is_none(spikes: Spikes) -> None:
    limit = spikes.limit(5)
    assert spikes.judge(5, math.nan) is None
    assert spikes.limit(6) == limit


def test_nothing_is_one_unless_it_is_asked_for() -> None:
    spikes = Spikes(BadStepsConfig(window=2))
    for step in range(1, 5):
        assert spikes.judge(step, 2.0) is None
    assert spikes.limit(5) is None
