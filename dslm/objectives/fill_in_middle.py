"""A row in which the middle of a text comes last (Bavarian et al. 2022).

[prefix mark] prefix [suffix mark] suffix [middle mark] middle, or with the suffix first:
[prefix mark] [suffix mark] suffix [middle mark] prefix middle (their PSM and SPM, section 3). The
marks are three ids behind those of the tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.stateless_random import RandomStream, stateless_random

SENTINELS = 3
"""The marks of prefix, suffix and middle."""


@dataclass(frozen=True)
class FillInMiddle:
    """How rows are rearranged."""

    share: float
    """Of the rows, that are rearranged."""
    suffix_first: float
    """Share of these in which the suffix comes first."""
    marks: int
    """The id of the first mark."""

    def rearrange(self, rows: Int64Array, numbers: Int64Array, seed: int) -> Int64Array:
        """Put the middle last in some rows [B, W]; their last three tokens are left out.

        The sample numbers [B] decide together with the seed.
        """
        draws = stateless_random(seed, numbers, 4, RandomStream.CUTS)
        made = rows.copy()
        for row, (selected, order, *cuts) in enumerate(draws.tolist()):
            if selected < self.share:
                text = rows[row, :-SENTINELS]
                borders = sorted(int(cut * (text.size + 1)) for cut in cuts)
                made[row] = self._marked(np.split(text, borders), order < self.suffix_first)
        return made

    def _marked(self, parts: list[Int64Array], suffix_first: bool) -> Int64Array:
        prefix, middle, suffix = parts
        before, behind, between = ([self.marks + number] for number in range(SENTINELS))
        if suffix_first:
            return np.concatenate([before, behind, suffix, between, prefix, middle])
        return np.concatenate([before, prefix, behind, suffix, between, middle])
