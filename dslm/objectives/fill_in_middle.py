"""A row in which the middle of a text comes last (Bavarian et al. 2022).

[prefix mark] prefix [suffix mark] suffix [middle mark] middle, or with what stands behind first:
[prefix mark] [suffix mark] suffix [middle mark] prefix middle (their PSM and SPM, section 3). The
marks are three ids behind those of the tokenizer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dslm.sampling.stateless_random import RandomStream, stateless_random

SENTINELS = 3
"""The marks of prefix, suffix and middle."""

Integers = npt.NDArray[np.int64]


def rearranged(
    rows: Integers, numbers: Integers, seed: int, marks: int, share: float, suffix_first: float
) -> Integers:
    """Rows of which some have their middle last; the last three tokens of these are left out.

    Args:
        rows: [B, W] ids.
        numbers: [B] sample numbers, by which the dice fall.
        seed: that of the run.
        marks: the id of the first mark.
        share: of the rows that are rearranged.
        suffix_first: share of these in which what stands behind comes first.

    Returns:
        [B, W].
    """
    width = rows.shape[1]
    draws = stateless_random(seed, numbers, 4, RandomStream.CUTS)
    made = rows.copy()
    for row, (chosen, order, *cuts) in enumerate(draws.tolist()):
        if chosen < share:
            text = rows[row, : width - SENTINELS]
            first, last = sorted(int(cut * (text.size + 1)) for cut in cuts)
            made[row] = _marked(text, first, last, order < suffix_first, marks)
    return made


def _marked(text: Integers, first: int, last: int, suffix_first: bool, marks: int) -> Integers:
    prefix, middle, suffix = np.split(text, [first, last])
    before, behind, between = ([marks + number] for number in range(SENTINELS))
    if suffix_first:
        return np.concatenate([before, behind, suffix, between, prefix, middle])
    return np.concatenate([before, prefix, behind, suffix, between, middle])
