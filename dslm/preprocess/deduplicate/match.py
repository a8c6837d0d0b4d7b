"""Which documents have a hash in common, within one range of hashes.

Sorting brings equal hashes together. Documents that share a band are a bucket; buckets of two or
more are written down so that `decide`, which goes through the parts one after the other, finds in
one place what it needs of each: what a part holds of a bucket is a portion, and a portion knows the
one before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dslm.arrays import Flags, Int64Array, UInt64Array
from dslm.preprocess.deduplicate.divided import PART, Range
from dslm.preprocess.text import ragged
from dslm.preprocess.text.ragged import Ragged

PLACE = (1 << PART) - 1
"""The bits of a number that are the place in the part."""


@dataclass(frozen=True)
class Matched:
    """What was found in a range, a row for each part."""

    equal: Ragged[np.uint32]
    """Documents that are equal to an earlier one, ascending."""
    of_known: Ragged[np.uint8]
    """Whether the first that each of these is equal to is known, 1 or 0."""
    members: Ragged[np.uint32]
    """Documents in a bucket, once for each bucket."""
    portions: Ragged[np.uint32]
    """The portion of each of these, from 0 in every part."""
    before: Ragged[np.int64]
    """Of each portion: the one of the same bucket in an earlier part, numbered as `number_all`
    does, or -1."""

    def save(self, path: Path) -> None:
        """Write it to a file; see `ragged.save`."""
        ragged.save(path, vars(self))

    @classmethod
    def load(cls, path: Path) -> Matched:
        """Map the file of `save` into memory; see `ragged.load`."""
        return cls(**ragged.load(path))


def runs(*columns: UInt64Array) -> tuple[Int64Array, Flags]:
    """An order that brings equal rows together, the earlier first, and which repeat the one before.

    Args:
        columns: the row numbers stay together when all of these agree.
    """
    order = np.lexsort(columns)
    again = np.zeros(order.size, np.bool_)
    again[1:] = True
    for column in columns:
        ordered = column[order]
        again[1:] &= ordered[1:] == ordered[:-1]
    return order, again


def first_equal(*columns: UInt64Array) -> Int64Array:
    """The number of the first row that is equal to each."""
    order, again = runs(*columns)
    first = np.empty_like(order)
    first[order] = order[np.maximum.accumulate(np.where(again, 0, np.arange(order.size)))]
    return first


def match(hashes: Range, known: int) -> Matched:
    """Look at a range.

    Args:
        hashes: the range.
        known: how many parts from the first on are known: their documents are never removed.
    """
    parts, end = len(hashes.parts), known << PART
    high, low, numbers = hashes.exact
    first = first_equal(low, high)
    again = (first != np.arange(first.size)) & (numbers >= end)
    of_known = (numbers[first[again]] < end).astype(np.uint8)
    lengths = np.bincount(numbers[again] >> PART, minlength=parts)
    equal = Ragged.of_lengths((numbers[again] & PLACE).astype(np.uint32), lengths)
    return Matched(equal, Ragged.of_lengths(of_known, lengths), *_buckets(hashes.bands, parts))


def _buckets(
    bands: Iterable[tuple[UInt64Array, Int64Array]], parts: int
) -> tuple[Ragged[np.uint32], Ragged[np.uint32], Ragged[np.int64]]:
    """The last three of `Matched`."""
    members, buckets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    found = 0
    for keys, numbers in bands:
        order, again = runs(keys)
        shared = again | np.append(again[1:], False)
        members.append(numbers[order[shared]])
        buckets.append(np.cumsum(~again[shared]) + found)
        found += int((shared & ~again).sum())
    return _portions(np.concatenate(members), np.concatenate(buckets), parts)


def _portions(
    members: Int64Array, buckets: Int64Array, parts: int
) -> tuple[Ragged[np.uint32], Ragged[np.uint32], Ragged[np.int64]]:
    """Cut buckets into portions, and bring those of a part together.

    Args:
        members: documents, ascending in each bucket.
        buckets: the bucket of each, ascending.
        parts: how many there are.
    """
    owners = members >> PART
    begins = np.ones(members.size, np.bool_)
    begins[1:] = (buckets[1:] != buckets[:-1]) | (owners[1:] != owners[:-1])
    portion = np.cumsum(begins) - 1
    owner, bucket = owners[begins], buckets[begins]
    order = np.argsort(owner, kind="stable")
    lengths = np.bincount(owner, minlength=parts)
    within = np.empty_like(order)
    within[order] = np.arange(order.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    before = np.full(order.size, -1)
    goes_on = np.flatnonzero(bucket[1:] == bucket[:-1])
    before[goes_on + 1] = (owner[goes_on] << PART) + within[goes_on]
    by_part = np.argsort(owners, kind="stable")
    sizes = np.bincount(owners, minlength=parts)
    return (
        Ragged.of_lengths((members[by_part] & PLACE).astype(np.uint32), sizes),
        Ragged.of_lengths(within[portion[by_part]].astype(np.uint32), sizes),
        Ragged.of_lengths(before[order], lengths),
    )
