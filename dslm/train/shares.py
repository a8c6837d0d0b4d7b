"""Work shared out among ranks by bytes."""

from __future__ import annotations

from collections.abc import Sequence


def shares(sizes: Sequence[int], ranks: int) -> list[int]:
    """Which rank takes each piece of work, so that all have about equally much.

    The largest piece goes first, each to the rank that has least (Graham 1969: no rank then has
    more than 4/3 of what the best division would leave it).

    Args:
        sizes: of the pieces.
        ranks: how many there are.

    Returns:
        A rank for each piece, the same wherever it is computed.
    """
    loads, taken = [0] * ranks, [0] * len(sizes)
    for piece in sorted(range(len(sizes)), key=lambda piece: -sizes[piece]):
        taken[piece] = min(range(ranks), key=loads.__getitem__)
        loads[taken[piece]] += sizes[piece]
    return taken
