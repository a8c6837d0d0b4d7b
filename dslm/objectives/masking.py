"""Which tokens of a row are masked, and what they become: exact counts, by sample number alone.

The path of a row: its tokens are grouped into units (single tokens, whole words, spans of words);
the units are put in random order and taken in that order as long as they fit into the number of
tokens to be masked, and where none fits any more, one is cut; most of the tokens taken become the
mask, some another token, some stay (Devlin et al. 2018, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from dslm.arrays import Flags, Int64Array
from dslm.sampling.stateless_random import RandomStream, Reals
from dslm.tokenizers.vocabulary import WordBorders

MaskUnit = Literal["token", "word", "span", "ngram"]
Draws: TypeAlias = Callable[[int, RandomStream], Reals]
"""From a width to [n, width] numbers in [0, 1), a row for each sample: `stateless_random` of a seed
and some sample numbers."""

LONGEST_SPAN = 10
GEOMETRIC = 0.2
"""Of SpanBERT (Joshi et al. 2020, section 3.1): mean length 3.8 words."""
LONGEST_NGRAM = 3
"""Of ALBERT (Lan et al. 2020, section 4.1): 1 to 3 words, shorter ones more often, as 1/n."""


def select_tokens(
    tokens: Int64Array,
    maskable: Flags,
    share: float,
    unit: MaskUnit,
    words: WordBorders | None,
    draws: Draws,
) -> tuple[Flags, Int64Array]:
    """Which tokens are masked.

    Args:
        tokens: [n, S].
        maskable: [n, S], tokens that may be.
        share: how many of these, rounded, at least one.
        unit: what is masked as a whole.
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
        masked = np.zeros_like(maskable)
        np.put_along_axis(masked, order, np.arange(tokens.shape[1]) < wanted[:, None], axis=1)
        return masked, units
    return _whole_units(units, maskable, wanted, keys), units


def mask_tokens(
    tokens: Int64Array,
    masked: Flags,
    units: Int64Array | None,
    shares: tuple[float, float],
    mask: int,
    ordinary: Int64Array,
    draws: Draws,
) -> Int64Array:
    """The rows as the model sees them.

    Args:
        tokens: [n, S].
        masked: [n, S].
        units: [n, S] where the same is done to all tokens of a unit.
        shares: of the masked tokens that become the mask, and that become any other token.
        mask: the id of the mask.
        ordinary: the ids that may replace a token.
        draws: decides.
    """
    width = tokens.shape[1]
    fate, other = draws(width, RandomStream.CHANGE), draws(width, RandomStream.IDS)
    if units is not None:
        fate = np.take_along_axis(fate, units, axis=1)
    hidden = masked & (fate < shares[0])
    replaced = masked & ~hidden & (fate < shares[0] + shares[1])
    drawn = ordinary[(other * ordinary.size).astype(np.int64)]
    return np.where(hidden, mask, np.where(replaced, drawn, tokens))


def _units(
    tokens: Int64Array, unit: MaskUnit, words: WordBorders | None, draws: Draws
) -> Int64Array:
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


def _lengths(unit: MaskUnit, draws: Reals) -> Int64Array:
    """Words of each of the spans a row is cut into."""
    longest = LONGEST_SPAN if unit == "span" else LONGEST_NGRAM
    sizes = np.arange(1, longest + 1)
    weights = GEOMETRIC * (1 - GEOMETRIC) ** (sizes - 1) if unit == "span" else 1 / sizes
    found: Int64Array = 1 + np.searchsorted(np.cumsum(weights / weights.sum()), draws, side="right")
    return np.minimum(found, longest)


def _whole_units(units: Int64Array, maskable: Flags, wanted: Int64Array, keys: Reals) -> Flags:
    """Take units in the order of their keys, leaving out those too long; cut one at last."""
    rows, size = units.shape
    flat = units + size * np.arange(rows)[:, None]
    sizes = np.bincount(flat[maskable], minlength=rows * size).reshape(rows, size)
    order = np.argsort(np.where(sizes > 0, keys, 2.0), axis=1)
    sizes = np.take_along_axis(sizes, order, axis=1)
    missing = wanted.copy()
    taken = np.zeros((rows, size), dtype=bool)
    for index in range(size):  # one unit of all rows at a time
        fits = (sizes[:, index] > 0) & (sizes[:, index] <= missing)
        taken[:, index] = fits
        missing -= np.where(fits, sizes[:, index], 0)
        if not missing.any():
            break
    of_unit = np.zeros_like(taken)
    np.put_along_axis(of_unit, order, taken, axis=1)
    masked = np.take_along_axis(of_unit, units, axis=1) & maskable
    for row in np.flatnonzero(missing).tolist():
        rest = np.flatnonzero(maskable[row] & ~masked[row])
        first = rest[np.argmin(keys[row, units[row, rest]])]
        masked[row, rest[rest >= first][: missing[row]]] = True
        short = int(wanted[row] - masked[row].sum())
        masked[row, rest[~masked[row, rest]][:short]] = True
    return masked
