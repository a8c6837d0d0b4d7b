"""Notices, while a run trains, that it diverges or has learnt next to nothing."""

from __future__ import annotations

import math

from dslm.run.config import RunConfig
from dslm.run.learning import LOWER, PATIENT, TRIED, judge_loss


def warning(config: RunConfig, step: int, loss: float) -> str | None:
    """What to say of a logged loss, by the rule of `dslm.run.learning`.

    Of a run the first loss is judged from which a divergence can be told, and the first from which
    little learnt can be: never more than two, in a long run one.
    """
    moments = {max(first, config.steps // 5) for first in (TRIED, PATIENT)}
    if not any(moment <= step < moment + config.log_interval for moment in moments):
        return None
    vocabulary = config.model.size
    said = judge_loss(loss, vocabulary, step, config.steps)
    if said is None:
        return None
    found, fix = {
        "diverged": ("is far above", LOWER),
        "little learnt": ("has barely left", "look at the data and the peak learning rate"),
    }[said]
    guess = f"ln(vocabulary) = {math.log(vocabulary):.2f}"
    return f"warning: after {step} steps the loss {loss:.2f} {found} {guess}: {fix}"
