"""What is said of a run that diverges or learns nothing, while it trains."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dslm.config.overrides import merge
from dslm.config.parse import parse
from dslm.run.config import RunConfig
from dslm.run.learning import LOWER, PATIENT, TRIED
from dslm.run.presets import tiny
from dslm.train.stuck import warning

GUESS = math.log(8000)


@pytest.fixture
def config() -> RunConfig:
    own = {"preset": "tiny", "run": "runs/a", "data": {"train": "shards"}}
    return parse(RunConfig, merge(tiny(), {**own, "model": {"vocabulary": 8000}}))


def said(config: RunConfig, loss: float, steps: int, interval: int = 1) -> dict[int, str]:
    """By the step, what is said in a run whose loss never changes."""
    run = replace(config, steps=steps, log_interval=interval)
    found = {step: warning(run, step, loss) for step in range(interval, steps + 1, interval)}
    return {step: text for step, text in found.items() if text is not None}


@pytest.mark.parametrize(
    ("steps", "interval", "at"),
    [(1, 1, []), (30, 1, [TRIED]), (200, 1, [40, PATIENT]), (1000, 1, [200]), (1000, 30, [210])],
)
def test_a_loss_far_above_guessing_is_a_divergence(
    steps: int, interval: int, at: list[int], config: RunConfig
) -> None:
    found = said(config, 96.8, steps, interval)
    assert list(found) == at
    for step, text in found.items():
        compared = f"the loss 96.80 is far above ln(vocabulary) = {GUESS:.2f}"
        assert text == f"warning: after {step} steps {compared}: {LOWER}"


@pytest.mark.parametrize(
    ("steps", "interval", "at"),
    [(1, 1, []), (30, 1, []), (200, 1, [PATIENT]), (1000, 1, [200]), (1000, 30, [210])],
)
def test_a_loss_near_guessing_is_little_learnt_and_no_rate_is_advised(
    steps: int, interval: int, at: list[int], config: RunConfig
) -> None:
    found = said(config, GUESS, steps, interval)
    assert list(found) == at
    for text in found.values():
        assert "has barely left" in text
        assert "raise" not in text
        assert "lower" not in text


def test_a_run_that_learns_is_left_alone(config: RunConfig) -> None:
    assert said(config, GUESS - 1, 1000) == {}
