"""Examples of nearly equal length together, so that little of a batch is padding.

The path of a sample number: it lies in a block of the order; the rows of the block are sorted by
their length and cut into groups; the groups come in an order of their own. So a row stays near
where it was, each epoch still reads each row once, and all is a function of (seed, sample number):
no layout changes it. The field knows it as bucketing (Khomenko et al. 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.examples import ExampleRows
from dslm.sampling.order import BLOCK, Permutation
from dslm.sampling.stream import Located, Stream

GROUP = 32
"""Rows that come together; they begin at multiples of it, as batches of its parts do."""


class GroupedStream(Stream):
    """A stream whose examples come in groups.

    Args:
        sources: as for `Stream`, without weights: every row is seen exactly once an epoch.
        seed: of the order and of that of the groups.
    """

    def __init__(self, sources: Sequence[ExampleRows], seed: int) -> None:
        super().__init__(sources, None, seed, shifted=False)
        self._examples = sources

    def _located(self, block: int) -> Located:
        """Those of a block, each epoch that it has a part of by itself."""
        numbers = np.arange(block * BLOCK, (block + 1) * BLOCK)
        sources, indices, shifts = super()._located(block)
        lengths = np.empty(BLOCK, dtype=np.int64)
        for number, source in enumerate(self._examples):
            mine = sources == number
            lengths[mine] = source.sizes(indices[mine])
        starts = np.flatnonzero(numbers % self.samples_per_epoch == 0)
        parts = np.split(np.arange(BLOCK), starts)
        order = np.concatenate(
            [part[grouped(lengths[part], f"{self._seed}/{block}", part)] for part in parts]
        )
        return sources[order], indices[order], shifts


def grouped(lengths: Int64Array, key: str, places: Int64Array) -> Int64Array:
    """The order in which some rows come, as indices.

    Args:
        lengths: tokens of each row.
        key: another key is another order of the groups.
        places: where the rows are to be, one after the other; groups begin at multiples of `GROUP`.
            What is before the first and behind the last of these are the shortest and the longest.
    """
    first = min(-int(places[0]) % GROUP, lengths.size) if lengths.size else 0
    groups = (lengths.size - first) // GROUP
    by_length = lengths.argsort(kind="stable")
    before, whole, behind = np.split(by_length, [first, first + groups * GROUP])
    if groups:
        order = Permutation(groups, key)(np.arange(groups))
        whole = whole.reshape(groups, GROUP)[order].ravel()
    return np.concatenate([before, whole, behind])
