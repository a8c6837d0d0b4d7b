"""Which documents are nearly equal to an earlier one that stays.

Documents are looked at in input order. One is compared with those that stay and share a bucket with
it, by the true similarity of their shingles; it is removed when it is near to one of these, else it
is added to its buckets. So a document is never removed because of a removed one, and a chain of
small changes does not pull in what is unlike.

A part needs of the parts before it only what they kept of its buckets.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dslm.arrays import Int64Array
from dslm.preprocess.deduplicate.buckets import Buckets
from dslm.preprocess.deduplicate.divided import number_all
from dslm.preprocess.deduplicate.shingles import Shingles, similarity
from dslm.preprocess.text.ragged import Ragged

Advance = Callable[[int], None]
"""Called with the number of documents decided since the last call."""

ShinglesOf = Callable[[int], Shingles]
"""The shingles of a document, by its number among all; see `number_all`."""

MOST_KEPT = 32
"""Documents of a bucket that later ones are compared with, the first that stay: a bucket of many
that are all unlike would cost the square of its size."""

CACHED = 1 << 24
"""Shingles kept in memory, 128 MiB: documents that stay are compared again and again."""


@dataclass(frozen=True)
class Near:
    """What was found in a part."""

    removed: Int64Array
    """The places of the documents to remove, ascending."""
    near_to: Int64Array
    """The number of one that each of them is near to."""
    kept: Ragged[np.int64]
    """Of each portion the numbers of the documents of its bucket that were kept so far."""


def near_duplicates(
    buckets: Buckets,
    part: int,
    before: Ragged[np.int64],
    like: Callable[[int, int], bool] | None,
    advance: Advance,
) -> Near:
    """Look at the documents of a part.

    Args:
        buckets: those of its documents.
        part: its number.
        before: what earlier parts kept of each of them.
        like: whether two documents are near, by their numbers; `None` where all stay.
        advance: called for each document.
    """
    kept = _FirstOfBuckets(buckets.sizes, before)
    removed, near_to = list[int](), list[int]()
    numbers = number_all(part, buckets.documents).tolist()
    for row, document in enumerate(numbers):
        mine = buckets.of_document[row]
        likely = kept.likely(mine) if like else []
        other = next((one for one in likely if like and like(document, one)), None)
        if other is None:
            kept.add(document, mine)
        else:
            removed.append(int(buckets.documents[row]))
            near_to.append(other)
        advance(1)
    return Near(np.array(removed, np.int64), np.array(near_to, np.int64), kept.documents())


class Likeness:
    """Whether documents are near, the shingles of those compared last at hand.

    Args:
        shingles_of: reads a document.
        threshold: the least similarity.
    """

    def __init__(self, shingles_of: ShinglesOf, threshold: float) -> None:
        self._shingles_of, self._threshold = shingles_of, threshold
        self._held: OrderedDict[int, Shingles] = OrderedDict()
        self._size = 0

    def __call__(self, document: int, other: int) -> bool:
        """Whether two documents are near, by their numbers."""
        left, right = self._shingles(document), self._shingles(other)
        smaller, larger = sorted((left.size, right.size))
        least = self._threshold
        return smaller / larger >= least and similarity(left, right) >= least

    def _shingles(self, document: int) -> Shingles:
        if document in self._held:
            self._held.move_to_end(document)
            return self._held[document]
        shingles = self._held[document] = self._shingles_of(document)
        self._size += shingles.size
        while self._size > CACHED and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._size -= oldest.size
        return shingles


class _FirstOfBuckets:
    """The first documents of each bucket that stay, in one flat array.

    Args:
        sizes: how many documents are still to come to each bucket at most.
        before: those that it has.
    """

    def __init__(self, sizes: Int64Array, before: Ragged[np.int64]) -> None:
        self._taken = before.lengths
        self._room = np.minimum(sizes + self._taken, MOST_KEPT)
        self._first = np.cumsum(self._room) - self._room
        self._documents = np.zeros(self._room.sum(), np.int64)
        self._documents[self._places()] = before.values

    def likely(self, buckets: Int64Array) -> list[int]:
        """Those in some buckets, the one that is in most of them first."""
        spans = [
            self._documents[first : first + taken]
            for first, taken in zip(self._first[buckets], self._taken[buckets], strict=True)
        ]
        found, shared = np.unique(np.concatenate(spans), return_counts=True)
        likely: list[int] = found[np.argsort(-shared, kind="stable")].tolist()
        return likely

    def add(self, document: int, buckets: Int64Array) -> None:
        """Put a document into those buckets that have room."""
        free = buckets[self._taken[buckets] < self._room[buckets]]
        self._documents[self._first[free] + self._taken[free]] = document
        self._taken[free] += 1

    def documents(self) -> Ragged[np.int64]:
        """Those of each bucket."""
        return Ragged.of_lengths(self._documents[self._places()], self._taken)

    def _places(self) -> Int64Array:
        """Where they are, bucket by bucket."""
        new = np.cumsum(self._taken) - self._taken
        places: Int64Array = np.repeat(self._first - new, self._taken)
        return places + np.arange(places.size)
