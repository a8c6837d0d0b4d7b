"""From levels back to weights that round to them, so that a model comes back as it trains.

Rounding is not idempotent: the largest magnitude of a group lies between two levels, half a step
beyond the last, and decides on the step. Levels times steps have lost it and would be rounded to
another grid. So it is put back.
"""

from __future__ import annotations

from torch import Tensor

from dslm.quantization.rounding import steps_and_levels

WITHIN = 1 - 2**-11
"""A little less, by which the step, of 8 significant bits, does not change."""


def unrounded(steps: Tensor, levels: Tensor, bits: int) -> Tensor:
    """Weights of which `steps_and_levels` makes just these.

    Args:
        steps: […, groups, 1], of 8 significant bits.
        levels: […, groups, n], whole numbers, both in float32.
        bits: of a level.

    Returns:
        […, groups × n] float32.

    Raises:
        ValueError: no weights round to them.
    """
    highest = 2 ** (bits - 1) - 1
    half = highest + 0.5
    low, high = levels == -highest - 1, levels == highest
    # The largest magnitude has the lowest level, else the highest, else the one opposite to it.
    largest = levels.where(~low, -half)
    alone = ~low.any(-1, keepdim=True)
    largest = largest.where(~(alone & high), half)
    alone = alone & ~high.any(-1, keepdim=True)
    largest = largest.where(~(alone & (levels == -highest)), -half * WITHIN)
    made = (largest * steps).flatten(-2)
    again = steps_and_levels(made, bits, levels.shape[-1], storable=True)
    if not (again[0].equal(steps) and again[1].equal(levels)):
        raise ValueError("no weights round to these levels")
    return made
