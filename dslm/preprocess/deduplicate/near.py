"""Which documents are nearly equal to an earlier one that stays.

Documents are looked at in input order. One is compared with those that stay and share a bucket with
it, by the true similarity of their shingles; it is removed when it is near to one of these, else it
is added to its buckets. So a document is never removed because of a removed one, and a chain of
small changes does not pull in what is unlike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from dslm.arrays import Int64Array
from dslm.preprocess.deduplicate.buckets import Buckets
from dslm.preprocess.deduplicate.shingles import Shingles, similarity

Advance = Callable[[int], None]
"""Called with the number of documents decided since the last call."""

ShinglesOf = Callable[[int], Shingles]
"""The shingles of a document, by its number among all."""

MOST_KEPT = 32
"""Documents of a bucket that later ones are compared with, the first that stay: a bucket of many
that are all unlike would cost the square of its size."""

CACHED = 1 << 24
"""Shingles kept in memory, 128 MiB: documents that stay are compared again and again."""


def near_duplicates(
    buckets: Buckets, threshold: float, shingles_of: ShinglesOf, advance: Advance, known: int = 0
) -> tuple[Int64Array, Int64Array]:
    """The documents to remove, in ascending order, and one that each of them is near to.

    The first `known` documents stay whatever they are near to.
    """
    kept = _FirstOfBuckets(buckets.sizes)
    cache = _ShingleCache(shingles_of)
    removed, near_to = list[int](), list[int]()
    for row, document in enumerate(buckets.documents.tolist()):
        mine = buckets.of_document[row]
        likely = kept.likely(mine) if document >= known else []
        other = next((one for one in likely if _near(cache, document, one, threshold)), None)
        if other is None:
            kept.add(document, mine)
        else:
            removed.append(document)
            near_to.append(other)
        advance(1)
    return np.array(removed, np.int64), np.array(near_to, np.int64)


def _near(cache: _ShingleCache, document: int, other: int, threshold: float) -> bool:
    left, right = cache(document), cache(other)
    smaller, larger = sorted((left.size, right.size))
    return smaller / larger >= threshold and similarity(left, right) >= threshold


class _FirstOfBuckets:
    """The first documents of each bucket that stay, in one flat array."""

    def __init__(self, sizes: Int64Array) -> None:
        room = np.minimum(sizes, MOST_KEPT)
        self._first = np.cumsum(room) - room
        self._room = room
        self._taken = np.zeros_like(room)
        self._documents = np.zeros(room.sum(), np.int64)

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


class _ShingleCache:
    """The shingles of documents, those used last at hand."""

    def __init__(self, shingles_of: ShinglesOf) -> None:
        self._shingles_of = shingles_of
        self._held: OrderedDict[int, Shingles] = OrderedDict()
        self._size = 0

    def __call__(self, document: int) -> Shingles:
        if document in self._held:
            self._held.move_to_end(document)
            return self._held[document]
        shingles = self._held[document] = self._shingles_of(document)
        self._size += shingles.size
        while self._size > CACHED and len(self._held) > 1:
            _, oldest = self._held.popitem(last=False)
            self._size -= oldest.size
        return shingles
