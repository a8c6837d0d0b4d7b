"""A row in which the middle of a text comes last (Bavarian et al. 2022).

[prefix mark] prefix [suffix mark] suffix [middle mark] middle, or with the suffix first:
[prefix mark] [suffix mark] suffix [middle mark] prefix middle (their PSM and SPM, section 3). The
marks are three ids behind those of the tokenizer.
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.stateless_random import Reals

SENTINELS = 3
"""The marks of prefix, suffix and middle."""


def middle_last(
    rows: Int64Array, draws: Reals, share: float, suffix_first: float, marks: int
) -> Int64Array:
    """Put the middle last in some rows [B, W]; their last three tokens are left out.

    Args:
        rows: [B, W] ids.
        draws: [B, 4] random numbers that decide.
        share: of the rows, that are rearranged.
        suffix_first: share of these in which the suffix comes first.
        marks: the id of the first mark.
    """
    before, behind, between = marks + np.arange(SENTINELS)[:, None]
    made = rows.copy()
    for row, (selected, order, *cuts) in enumerate(draws.tolist()):
        if selected < share:
            text = rows[row, :-SENTINELS]
            borders = sorted(int(cut * (text.size + 1)) for cut in cuts)
            prefix, middle, suffix = np.split(text, borders)
            parts = [before, prefix, behind, suffix, between, middle]
            if order < suffix_first:
                parts = [before, behind, suffix, between, prefix, middle]
            made[row] = np.concatenate(parts)
    return made
