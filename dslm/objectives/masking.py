"""Which tokens of a row are hidden, and behind what: exact counts, drawn by sample number alone.

The way of a row: its tokens are put into units (single tokens, whole words, spans of words); the
units are put in random order; they are taken in that order as long as they fit into what is to be
masked, and where no unit fits any more, one is cut; most of the tokens taken become the mask, some
another token, some stay (Devlin et al. 2018, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from dslm.sampling.stateless_random import RandomStream, Reals, stateless_random
from dslm.tokenizers.vocabulary import Words

MaskUnit = Literal["token", "word", "span", "ngram"]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LONGEST_SPAN = 10
GEOMETRIC = 0.2
"""Of SpanBERT (Joshi et al. 2020, section 3.1): mean length 3.8 words."""
LONGEST_NGRAM = 3
"""Of ALBERT (Lan et al. 2020, section 4.1): 1 to 3 words, shorter ones more often, as 1/n."""


@dataclass(frozen=True)
class MaskDraws:
    """What is drawn for some rows."""

    seed: int
    numbers: Integers
    """[n]: by what the draws of each row are known; the same number draws the same."""

    def __call__(self, width: int, purpose: RandomStream) -> Reals:
        """[n, width] numbers in [0, 1)."""
        return stateless_random(self.seed, self.numbers, width, purpose)


def chosen(
    tokens: Integers,
    maskable: Mask,
    share: float,
    unit: MaskUnit,
    words: Words | None,
    draws: MaskDraws,
) -> tuple[Mask, Integers]:
    """Which tokens are masked.

    Args:
        tokens: [n, S].
        maskable: [n, S], tokens that may be.
        share: how many of these, rounded, at least one.
        unit: what is taken as a whole.
        words: where words begin; not needed for tokens.
        draws: decides.

    Returns:
        [n, S] true where masked, exactly as many in each row as its share; and the unit of each
        token, [n, S], counted from 0 in each row.
    """
    wanted = np.rint(share * maskable.sum(axis=1)).astype(np.int64)
    wanted = np.where(maskable.any(axis=1), np.maximum(wanted, 1), 0)
    units = _units(tokens, unit, words, draws)
    keys = draws(tokens.shape[1], RandomStream.CHOICE)
    if unit == "token":
        order = np.argsort(np.where(maskable, keys, 2.0), axis=1)
        taken = np.zeros_like(maskable)
        np.put_along_axis(taken, order, np.arange(tokens.shape[1]) < wanted[:, None], axis=1)
        return taken, units
    return _whole_units(units, maskable, wanted, keys), units


def changed(
    tokens: Integers,
    masked: Mask,
    units: Integers | None,
    shares: tuple[float, float],
    mask: int,
    ordinary: Integers,
    draws: MaskDraws,
) -> Integers:
    """The rows with what is masked hidden.

    Args:
        tokens: [n, S].
        masked: [n, S].
        units: [n, S] where the same is done to all tokens of a unit.
        shares: of the masked tokens that become the mask, and that become any other token.
        mask: the id of the mask.
        ordinary: the ids that may take a token's place.
        draws: decides.
    """
    fate, other = (
        draws(tokens.shape[1], RandomStream.CHANGE),
        draws(tokens.shape[1], RandomStream.IDS),
    )
    if units is not None:
        fate = np.take_along_axis(fate, units, axis=1)
    hidden = masked & (fate < shares[0])
    replaced = masked & ~hidden & (fate < shares[0] + shares[1])
    drawn = ordinary[(other * ordinary.size).astype(np.int64)]
    return np.where(hidden, mask, np.where(replaced, drawn, tokens))


def _units(tokens: Integers, unit: MaskUnit, words: Words | None, draws: MaskDraws) -> Integers:
    """The number of the unit of each token, [n, S]."""
    if unit == "token" or words is None:
        return np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    numbers = np.cumsum(words.begin(tokens), axis=1) - 1
    if unit == "word":
        return numbers
    lengths = _lengths(unit, draws(tokens.shape[1], RandomStream.LENGTHS))
    begins = np.zeros((len(tokens), tokens.shape[1] + 1), dtype=np.int64)
    ends = np.minimum(np.cumsum(lengths, axis=1), tokens.shape[1])
    np.put_along_axis(begins, ends, 1, axis=1)  # by words: a span begins where the last one ended
    spans = np.cumsum(begins, axis=1)
    return np.take_along_axis(spans, numbers, axis=1)


def _lengths(unit: MaskUnit, draws: Reals) -> Integers:
    """Words of each of the spans a row is cut into."""
    longest = LONGEST_SPAN if unit == "span" else LONGEST_NGRAM
    sizes = np.arange(1, longest + 1)
    weights = GEOMETRIC * (1 - GEOMETRIC) ** (sizes - 1) if unit == "span" else 1 / sizes
    found: Integers = 1 + np.searchsorted(np.cumsum(weights / weights.sum()), draws, side="right")
    return np.minimum(found, longest)


def _whole_units(units: Integers, maskable: Mask, wanted: Integers, keys: Reals) -> Mask:
    """Take units in the order of their keys, those that no longer fit left out, one cut at last."""
    rows, size = units.shape
    flat = units + size * np.arange(rows)[:, None]
    sizes = np.bincount(flat[maskable], minlength=rows * size).reshape(rows, size)
    order = np.argsort(np.where(sizes > 0, keys, 2.0), axis=1)
    sizes = np.take_along_axis(sizes, order, axis=1)
    left = wanted.copy()
    taken = np.zeros((rows, size), dtype=bool)
    for place in range(size):  # one unit of all rows at a time
        fits = (sizes[:, place] > 0) & (sizes[:, place] <= left)
        taken[:, place] = fits
        left -= np.where(fits, sizes[:, place], 0)
        if not left.any():
            break
    of_unit = np.zeros_like(taken)
    np.put_along_axis(of_unit, order, taken, axis=1)
    masked = np.take_along_axis(of_unit, units, axis=1) & maskable
    for row in np.flatnonzero(left).tolist():
        rest = np.flatnonzero(maskable[row] & ~masked[row])
        first = rest[np.argmin(keys[row, units[row, rest]])]
        masked[row, rest[rest >= first][: left[row]]] = True
        short = int(wanted[row] - masked[row].sum())
        masked[row, rest[~masked[row, rest]][:short]] = True
    return masked
