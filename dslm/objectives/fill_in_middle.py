"""A row in which the middle of a text comes last (Bavarian et al. 2022).

[prefix mark] prefix [suffix mark] suffix [middle mark] middle, or with what stands behind first:
[prefix mark] [suffix mark] suffix [middle mark] prefix middle (their PSM and SPM, section 3). The
marks are three ids behind those of the tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dslm.data.dice import Purpose, uniform
from dslm.data.stream import Samples
from dslm.objectives.protocol import Context

if TYPE_CHECKING:
    from dslm.objectives.causal import CausalSettings

SENTINELS = 3
"""The marks of prefix, suffix and middle."""

Integers = npt.NDArray[np.int64]


def rearranged(
    rows: Integers, samples: Samples, settings: CausalSettings, context: Context
) -> Integers:
    """Rows [B, W] of which some have their middle last; their last three tokens are left out."""
    width = rows.shape[1]
    dice = uniform(context.seed, samples.numbers, 4, Purpose.CUTS)
    made = rows.copy()
    for row, (chosen, order, *cuts) in enumerate(dice.tolist()):
        if chosen < settings.fill_in_middle:
            text = rows[row, : width - SENTINELS]
            first, last = sorted(int(cut * (text.size + 1)) for cut in cuts)
            suffix_first = order < settings.suffix_first
            made[row] = _marked(text, first, last, suffix_first, context.lexicon.size)
    return made


def _marked(text: Integers, first: int, last: int, suffix_first: bool, marks: int) -> Integers:
    prefix, middle, suffix = np.split(text, [first, last])
    before, behind, between = ([marks + number] for number in range(SENTINELS))
    if suffix_first:
        return np.concatenate([before, behind, suffix, between, prefix, middle])
    return np.concatenate([before, prefix, behind, suffix, between, middle])
