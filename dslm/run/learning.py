"""Whether a run learns: one rule for what is said while it trains and for what its report says.

A model that knows nothing gives each token of the vocabulary the same probability; its loss is
ln V, and there training begins. Where the loss is long after the first steps says how it goes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Judgement = Literal["diverged", "little learnt"]

BARELY = 0.3
"""Nats: a loss less than this below ln V means that next to nothing has been learnt."""
FAR = 1.0
"""Nats: a loss more than this above ln V means that the model is worse than at its start."""
TRIED = 10
"""Steps before which a loss far above ln V is that of a start, and not yet judged…"""
PATIENT = 50
"""… and before which a loss near ln V is, as it is in the first fifth of a run."""
NORMS = 3
"""So many logged norms in a row that are not finite, after one that was, mean divergence."""
LOWER = "lower the peak learning rate (optimizer.params.lr) or lengthen schedule.warmup_steps"
"""What helps a run that diverges."""


def judge_loss(loss: float, vocabulary: int, step: int, steps: int) -> Judgement | None:
    """What a loss in nats a token says; `None` where nothing is wrong, or it is too early to tell.

    Args:
        loss: after the step, finite.
        vocabulary: how many tokens there are to choose from.
        step: steps made.
        steps: of the whole run.
    """
    above = loss - math.log(vocabulary)
    if above > FAR and step >= TRIED:
        return "diverged"
    if above > -BARELY and step >= max(PATIENT, steps // 5):
        return "little learnt"
    return None


def norms_diverged(norms: Sequence[float | None]) -> bool:
    """Whether the gradient has become infinite and stays so.

    Args:
        norms: as they were logged, the newest last; what is not finite or not known is no number.
    """
    finite = [norm is not None and math.isfinite(norm) for norm in norms]
    return any(finite) and len(finite) > NORMS and not any(finite[-NORMS:])
