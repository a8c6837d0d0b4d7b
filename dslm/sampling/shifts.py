"""Where the rows of a set begin, and how much later they do so in each epoch.

Windows that begin at the same tokens in every epoch teach nothing of what lies across their
borders. So in each epoch all of a set begin later by one shift, a function of (seed, source,
epoch). The set is a ring: behind its last token comes its first one. Then windows are as many in
each epoch and each token is in one of them, but for those left over, which are less than a window
and elsewhere in each epoch.

The first epoch has no shift: nothing has been read before it, and a run that never begins a second
one sees the rows that it saw in versions of dslm that knew no shifts.
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.stateless_random import RandomStream, Reals, stateless_random

Shifts = Reals | float
"""Shares of the tokens of a set, in [0, 1)."""


def shifts(seed: int, sources: Int64Array, epochs: Int64Array, count: int) -> Reals:
    """By how much rows begin later than in the first epoch.

    Args:
        seed: another seed makes other shifts.
        sources: of which source each row is; shape [n].
        epochs: how often that has been read before; shape [n].
        count: how many sources there are; more of them leave the shifts of others as they are.

    Returns:
        Shape [n].
    """
    draws = stateless_random(seed, epochs, count, RandomStream.SHIFT)
    return np.where(epochs > 0, draws[np.arange(sources.size), sources], 0.0)


def first_tokens(indices: Int64Array, stride: int, tokens: int, shift: Shifts) -> Int64Array:
    """Where rows begin that lie one behind the other around a set.

    Args:
        indices: their numbers; shape [n].
        stride: tokens from the beginning of one to that of the next.
        tokens: how many the set has.
        shift: of each row, or of all of them.

    Returns:
        Shape [n], each in [0, tokens).
    """
    later = np.floor(np.float64(tokens) * shift).astype(np.int64)
    places: Int64Array = (indices * stride + later) % tokens
    return places
