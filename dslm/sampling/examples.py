"""A labelled shard set as rows: an example each, padded to the width of the model.

An example is a document, and what is to be learned of it are its labels, which lie beside its
tokens. So it is stored, verified, ordered and mixed like any text; nothing else is done to it here.
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import Float32Array, Int64Array, Tokens
from dslm.sampling.shifts import Shifts
from dslm.sampling.stream import TokenSpan
from dslm.shards.labels import labels_of
from dslm.shards.shard_set import ShardSet


class ExampleRows:
    """The examples of a shard set, in its order.

    Args:
        shards: a labelled set, no example of which is longer than a row.
        width: tokens of a row.
        padding: an id to fill rows up with; any will do, as padding is known by its place.
    """

    def __init__(self, shards: ShardSet, width: int, padding: int) -> None:
        self.shards, self.width, self.padding = shards, width, padding
        self._lengths = shards.lengths()
        self._starts = np.cumsum(self._lengths) - self._lengths

    def __len__(self) -> int:
        return self._lengths.size

    def rows(self, indices: Int64Array, numbers: Int64Array, shifts: Shifts = 0.0) -> Tokens:
        """Some of the examples; shape [len(indices), width], in the dtype of the shards."""
        rows = np.full((indices.size, self.width), self.padding, dtype=self.shards.dtype)
        text = np.arange(self.width) < self._lengths[indices][:, None]
        rows[text] = self.shards.spans(self._starts[indices], self._lengths[indices])
        return rows

    def lengths(self, indices: Int64Array, rows: Tokens) -> Int64Array:
        """The tokens of each example."""
        return self.sizes(indices)

    def sizes(self, indices: Int64Array) -> Int64Array:
        """The same before they are read."""
        found: Int64Array = self._lengths[indices]
        return found

    def token_spans(self, index: int, number: int, shift: float = 0.0) -> list[TokenSpan]:
        """The example itself."""
        start = int(self._starts[index])
        return [(start, start + int(self._lengths[index]))]

    def labels(self, indices: Int64Array) -> list[Float32Array]:
        """What is to be learned of some examples."""
        return [labels_of(self.shards, index) for index in indices.tolist()]
