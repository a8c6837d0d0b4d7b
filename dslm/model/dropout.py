"""Dropout (Srivastava et al. 2014) whose masks are computed, not drawn.

Whether an activation is kept is a function of the seed, the number of its sample, its layer, its
site in the layer and its place: a counter-based generator (Salmon et al. 2011, "Parallel random
numbers: as easy as 1, 2, 3"). So no layout, no cut into micro-batches, no resumption and no
recomputation changes a mask, and there is no state to keep.

The path of the bits: a key for each row, made of seed and sample number where the batch is made,
travels with the batch; each layer makes one of its own of it, and each site one for every place of
the row, all of 64 bits by SplitMix64 (Steele et al. 2014, "Fast splittable pseudorandom number
generators"). Along the last axis two rounds of a 32-bit mixer follow, with the two halves of that
key, of which only 32 bits are ever looked at: the same on every device, whether a compiler computes
in integers of 32 bits or more. Its last shift is left out, as it would only scramble the low bits,
which no comparison with a rate notices.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dslm.model.sequence import SequencePart, first_of

DROPOUT_KEYS = "dropout_keys"
"""The extra that a model with dropout needs in training: [B], a key for each row."""


def wrapped(number: int) -> int:
    """As 64 bits hold it: a compiler refuses constants, and products of constants, beyond them."""
    return (number + 2**63) % 2**64 - 2**63


GOLDEN = wrapped(0x9E3779B97F4A7C15)
FACTORS = wrapped(0xBF58476D1CE4E5B9), wrapped(0x94D049BB133111EB)
"""The step from place to place, and the factors, of SplitMix64."""
SITE = wrapped(2**56 * GOLDEN)
"""From site to site, and 2**32 steps from head to head: farther than a layer has heads, and a row
tokens."""
LOW = 2**32 - 1
COLUMN = 0x9E3779B1
COLUMN_FACTORS = 0x7FEB352D, 0x846CA68B - 2**32
"""The step along the last axis, and the factors of the 32-bit mixer ("lowbias32", Wellons 2018)."""


class Site(IntEnum):
    """Where a layer drops activations."""

    EMBEDDING = 0
    ATTENTION = 1
    MIXED = 2
    """What attention or a recurrence adds to the residual stream."""
    FEED_FORWARD = 3
    CROSS_ATTENTION = 4
    CROSS_MIXED = 5
    """What cross-attention adds to the residual stream."""
    HEAD = 6
    """What the scores of classes are made of."""


class Dropped(NamedTuple):
    """What is dropped of values [B, …, n]: for every place of the rows, what decides."""

    low: Tensor
    """[B, …] int32: half of the key of a place."""
    high: Tensor
    """The other half."""
    rate: float
    """The share that is dropped."""

    def apply(self, values: Tensor) -> Tensor:
        """`values` [B, …, n] without what is dropped, the rest scaled up in return."""
        return (_compiled() if values.is_cuda else _apply)(values, *self)


def kept(low: Tensor, high: Tensor, column: Tensor, rate: float) -> Tensor:
    """Whether a value is kept, boolean.

    Args:
        low: integers, half of the key of a place.
        high: integers, the other half.
        column: int64, where the value is along the last axis; all three broadcast.
        rate: the share that is dropped.
    """
    bits = low + (times(column, COLUMN) & LOW).to(torch.int32)
    bits = (bits ^ ((bits >> 16) & 0xFFFF)) * COLUMN_FACTORS[0] ^ high
    bits = (bits ^ ((bits >> 15) & 0x1FFFF)) * COLUMN_FACTORS[1]
    return ((bits >> 1) & 0x7FFFFFFF) >= round(rate * 2**31)


def _apply(values: Tensor, low: Tensor, high: Tensor, rate: float) -> Tensor:
    columns = torch.arange(values.shape[-1], device=values.device)
    return values * kept(low[..., None], high[..., None], columns, rate) * (1 / (1 - rate))


@lru_cache(maxsize=1)
def _compiled() -> Callable[..., Tensor]:
    """The same as one kernel, which neither writes nor keeps the bits."""
    return torch.compile(_apply)


class Dropout(nn.Module):
    """One site of a layer; it changes nothing at a rate of 0, nor outside of training.

    Args:
        rate: the share that is dropped.
        site: which of the layer's.
    """

    __call__: Callable[..., Tensor]
    sequence_part: SequencePart | None = None
    """Of the rows, which tokens come in; `None` = all."""

    def __init__(self, rate: float, site: Site) -> None:
        super().__init__()
        self.rate, self.site = rate, site

    def forward(
        self, hidden: Tensor, keys: Tensor | None, selected: Tensor | None = None
    ) -> Tensor:
        """Drop some of [B, S, D].

        Args:
            hidden: [B, S, D], or [B, M, D].
            keys: [B] int64, the layer's; needed in training.
            selected: [B, M], the positions of M vectors; those of all without it.
        """
        if not self.training or not self.rate:
            return hidden
        first = first_of(self.sequence_part, hidden.shape[1])
        steps = _steps(hidden.shape[1], hidden, selected, first)
        return self._dropped(keys, steps).apply(hidden)

    def of_heads(
        self, queries: Tensor, keys: Tensor | None, selected: Tensor | None, first: int = 0
    ) -> Dropped | None:
        """What is dropped of the attention weights [B, H, S, T] of queries [B, H, S, E].

        Args:
            queries: [B, H, S, E], of whole rows.
            keys: as for `forward`.
            selected: [B, M], the positions whose queries are wanted: then of [B, H, M, T].
            first: the number of the first head, where other ranks have others.
        """
        if not self.training or not self.rate:
            return None
        steps = _steps(queries.shape[2], queries, selected)[:, None]
        heads = torch.arange(queries.shape[1], device=queries.device)[:, None] + first
        return self._dropped(keys, steps + (times_golden(heads) << 32))

    def _dropped(self, keys: Tensor | None, steps: Tensor) -> Dropped:
        """What is dropped at places so many steps [B, …] from the first; [1, …] of all rows."""
        assert keys is not None, "in training a model with dropout needs a key for each row"
        keys = keys.view(-1, *[1] * (steps.dim() - 1)) + wrapped(self.site * SITE)
        bits = mix(keys + steps)
        return Dropped(bits.to(torch.int32), (bits >> 32).to(torch.int32), self.rate)


def _steps(count: int, like: Tensor, selected: Tensor | None, first: int = 0) -> Tensor:
    """How far rows' vectors are from the first place, [B, M]; or [1, S], from one place on."""
    if selected is not None:
        return times_golden(selected)
    return times_golden(torch.arange(count, device=like.device)[None] + first)


def times_golden(numbers: Tensor) -> Tensor:
    """`GOLDEN` times numbers below 2**31, as 64 bits hold it."""
    low, high = times(numbers, GOLDEN & LOW), times(numbers, GOLDEN >> 32 & LOW)
    return low + ((high & LOW) << 32)


def times(numbers: Tensor, factor: int) -> Tensor:
    """Numbers below 2**31 times a factor below 2**32: within 64 bits, whoever computes it.

    As Inductor makes C++ of it, numbers of places are counters of loops, and the compiler concludes
    from a multiple of one that would overflow that the loop ends before, or lets its steps overflow
    (torch 2.13). So no factor is larger, and what is multiplied is no counter, but bits of one.
    """
    return (numbers & LOW) * factor


def layer_keys(keys: Tensor, seed: int) -> Tensor:
    """The keys of a layer, of a seed of its own and the keys of rows; [B] int64 both."""
    return mix(keys + seed)


def mix(bits: Tensor) -> Tensor:
    """Scramble int64, one to one, as the last step of SplitMix64 does."""
    bits = (bits ^ ((bits >> 30) & (2**34 - 1))) * FACTORS[0]
    bits = (bits ^ ((bits >> 27) & (2**37 - 1))) * FACTORS[1]
    return bits ^ ((bits >> 31) & (2**33 - 1))
