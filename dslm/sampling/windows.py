"""A shard set cut into windows of equal length, across documents: the rows of plain text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dslm.arrays import Flags, Int64Array, Tokens
from dslm.sampling.shifts import Shifts, first_tokens
from dslm.sampling.stream import TokenSpan, WindowSpec
from dslm.shards.shard_set import ShardSet


class Windows:
    """A shard set cut into windows of equal length, across documents.

    Args:
        shards: the set.
        spec: how it is cut.
        margin: tokens that follow each window in its row, for `augment`; those behind the last
            token of the set are its first ones.
    """

    def __init__(self, shards: ShardSet, spec: WindowSpec, margin: int = 0) -> None:
        self.shards, self.spec, self.margin = shards, spec, margin
        self.width = spec.width + margin

    def __len__(self) -> int:
        return self.spec.count(self.shards)

    def rows(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Tokens:
        """Some of the windows with their margin; shape [len(indices), width]."""
        return self._read(self.shards.windows, indices, shifts)

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """All of each window."""
        return np.full(indices.size, rows.shape[1])

    def sentences(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Flags:
        """True where a sentence begins, in the shape of `rows`."""
        return self._read(self.shards.sentence_starts, indices, shifts)

    def token_spans(self, index: int, number: int, shift: float = 0.0) -> list[TokenSpan]:
        """A window with its margin: one span, or two where the ring is closed."""
        start, tokens = int(self._starts(np.array([index]), shift)[0]), self.shards.tokens
        end = start + self.width
        return [(start, end)] if end <= tokens else [(start, tokens), (0, end - tokens)]

    def _starts(self, indices: Int64Array, shifts: Shifts) -> Int64Array:
        return first_tokens(indices, self.spec.stride, self.shards.tokens, shifts)

    def _read(
        self, read: Callable[[Int64Array, int], Tokens], indices: Int64Array, shifts: Shifts
    ) -> Tokens:
        """What a function of first tokens and a width gives for rows, also around the ring."""
        starts, tokens = self._starts(indices, shifts), self.shards.tokens
        around = np.flatnonzero(starts + self.width > tokens)
        if not around.size:
            return read(starts, self.width)
        rows = read(np.minimum(starts, tokens - self.width), self.width)
        for row in around.tolist():
            left = tokens - int(starts[row])
            rows[row, :left] = rows[row, self.width - left :]
            rows[row, left:] = read(np.array([0]), self.width - left)[0]
        return rows
