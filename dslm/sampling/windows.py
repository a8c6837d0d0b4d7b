"""A shard set cut into windows of equal length, across documents: the rows of plain text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.sampling.stream import TokenSpan, WindowSpec
from dslm.shards.shard_set import ShardSet


class Windows:
    """A shard set cut into windows of equal length, across documents.

    Args:
        shards: the set.
        spec: how it is cut.
        margin: tokens that follow each window in its row, for `augment`; where the set has no more,
            they are those of its beginning.
    """

    def __init__(self, shards: ShardSet, spec: WindowSpec, margin: int = 0) -> None:
        self.shards, self.spec, self.margin = shards, spec, margin
        self.width = spec.width + margin

    def __len__(self) -> int:
        return self.spec.count(self.shards)

    def rows(self, indices: Int64Array, numbers: Int64Array) -> Tokens:
        """Some of the windows with their margin; shape [len(indices), width]."""
        return self._read(self.shards.windows, indices)

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """All of each window."""
        return np.full(indices.size, rows.shape[1])

    def sentences(self, indices: Int64Array, numbers: Int64Array) -> Flags:
        """True where a sentence begins, in the shape of `rows`."""
        return self._read(self.shards.sentence_starts, indices)

    def token_spans(self, index: int, number: int) -> list[TokenSpan]:
        """A window, and its margin."""
        start = index * self.spec.stride
        end = start + self.spec.width
        margin = int(self._margin_starts(np.array([end]))[0])
        return [(start, end), *([(margin, margin + self.margin)] if self.margin else [])]

    def _read(self, read: Callable[[Int64Array, int], Tokens], indices: Int64Array) -> Tokens:
        starts = indices * self.spec.stride
        rows = read(starts, self.spec.width)
        if not self.margin:
            return rows
        ends = self._margin_starts(starts + self.spec.width)
        return np.concatenate([rows, read(ends, self.margin)], axis=1)

    def _margin_starts(self, ends: Int64Array) -> Int64Array:
        return np.where(ends + self.margin <= self.shards.tokens, ends, 0)
