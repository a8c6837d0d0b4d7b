"""A shard set as rows that hold whole documents wherever they fit.

The path of a row: `packing` says which spans of tokens it holds; they are read where they lie and
stand one after the other, the rest of the row is padding. Every token of the set is in exactly one
row, so an epoch reads each once.

The packing is worked out anew at every start, from the lengths of the documents alone, which stand
in the shards. A million documents take about a second and 100 MB while it lasts, and 12 bytes each
(8 more for a row) afterwards.
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array, Tokens
from dslm.sampling.packing import pack
from dslm.sampling.shifts import Shifts
from dslm.sampling.stream import TokenSpan
from dslm.shards.shard_set import ShardSet


class PackedRows:
    """A shard set cut into rows of documents.

    Args:
        shards: the set.
        width: tokens of a row.
        padding: an id to fill rows up with; any will do, as padding is known by its place.
    """

    def __init__(self, shards: ShardSet, width: int, padding: int) -> None:
        self.shards, self.width, self.padding = shards, width, padding
        lengths = shards.lengths()
        packing = pack(lengths, self.width)
        first = np.cumsum(lengths) - lengths
        self._rows = packing.rows
        self._starts = first[packing.document] + packing.start
        self._lengths = packing.length.astype(np.int32)

    def __len__(self) -> int:
        return self._rows.size - 1

    def rows(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Tokens:
        """Some of the rows; shape [len(indices), width], in the dtype of the shards."""
        rows = np.full((indices.size, self.width), self.padding, dtype=self.shards.dtype)
        pieces, _ = self._pieces(indices)
        text = np.arange(self.width) < self.lengths(indices, rows)[:, None]
        rows[text] = self.shards.spans(self._starts[pieces], self._lengths[pieces].astype(np.int64))
        return rows

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """The tokens of the documents in each row."""
        pieces, owners = self._pieces(indices)
        found = np.bincount(owners, self._lengths[pieces], indices.size)
        return found.astype(np.int64)

    def token_spans(self, index: int, number: int, shift: float = 0.0) -> list[TokenSpan]:
        """The documents, or parts of them, that a row is made of."""
        pieces = slice(self._rows[index], self._rows[index + 1])
        starts, lengths = self._starts[pieces], self._lengths[pieces]
        return list(zip(starts.tolist(), (starts + lengths).tolist(), strict=True))

    def _pieces(self, indices: Int64Array) -> tuple[Int64Array, Int64Array]:
        """The pieces of some rows one after the other, and which of these rows each is in."""
        counts = self._rows[indices + 1] - self._rows[indices]
        before = np.cumsum(counts) - counts
        pieces = np.repeat(self._rows[indices] - before, counts) + np.arange(counts.sum())
        return pieces, np.repeat(np.arange(indices.size), counts)
