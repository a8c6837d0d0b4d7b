"""Whether a run learns, said by one rule."""

from __future__ import annotations

import math

import pytest

from dslm.run.learning import BARELY, FAR, NORMS, PATIENT, TRIED, judge_loss, norms_diverged

V = 8000
GUESS = math.log(V)


@pytest.mark.parametrize(
    ("loss", "step", "steps", "said"),
    [
        (GUESS + 2 * FAR, TRIED, 1000, "diverged"),
        (96.8, 30, 30, "diverged"),
        (151_207.34, 30, 30, "diverged"),
        (GUESS + 2 * FAR, TRIED - 1, 1000, None),
        (GUESS + FAR / 2, 500, 1000, "little learnt"),
        (GUESS - BARELY / 2, 500, 1000, "little learnt"),
        (GUESS - BARELY / 2, 199, 1000, None),
        (GUESS - BARELY / 2, PATIENT - 1, PATIENT, None),
        (GUESS, 1, 1, None),
        (GUESS - 2 * BARELY, 500, 1000, None),
        (math.nan, 500, 1000, None),
    ],
)
def test_what_a_loss_says_of_a_run(loss: float, step: int, steps: int, said: str | None) -> None:
    assert judge_loss(loss, V, step, steps) == said


@pytest.mark.parametrize(
    ("norms", "diverged"),
    [
        ([1.0, 2.0, *[None] * NORMS], True),
        ([1.0, *[math.inf] * NORMS], True),
        ([1.0, *[math.nan] * (NORMS - 1)], False),
        ([1.0, *[math.inf] * NORMS, 1.0], False),
        ([None] * 20, False),  # it is not known at this layout
        ([], False),
    ],
)
def test_a_gradient_that_stays_infinite_has_diverged(
    norms: list[float | None], diverged: bool
) -> None:
    assert norms_diverged(norms) == diverged
