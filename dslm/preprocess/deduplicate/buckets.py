"""Which documents may be nearly equal: those that share a band with another.

Sorting one band at a time brings the documents that share it together; each such run is a bucket.
Only documents of buckets with two members or more are remembered, 16 bytes for each membership.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dslm.arrays import Flags, Int64Array, UInt64Array
from dslm.preprocess.deduplicate.minhash import NO_WORDS
from dslm.preprocess.deduplicate.signatures import Signatures
from dslm.preprocess.text.ragged import Ragged


@dataclass(frozen=True)
class Buckets:
    """The buckets of all bands that hold two documents or more."""

    documents: Int64Array
    """The documents that are in some bucket, in ascending order."""
    of_document: Ragged[np.int64]
    """The numbers of the buckets of each of these."""
    sizes: Int64Array
    """Documents in each bucket."""


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


def repeated(*columns: UInt64Array) -> Flags:
    """Which rows are equal to an earlier one."""
    first = first_equal(*columns)
    flags: Flags = first != np.arange(first.size)
    return flags


def find_buckets(parts: Sequence[Signatures], alive: Flags) -> Buckets:
    """Sort every band.

    Args:
        parts: the signatures of all documents.
        alive: which documents take part.
    """
    members, numbers, sizes = [], [], [np.zeros(0, np.int64)]
    found = 0
    for columns in zip(*(part.bands for part in parts), strict=True):
        keys = np.concatenate(columns)
        documents = np.flatnonzero(alive & (keys != NO_WORDS))
        order, again = runs(keys[documents])
        shared = again | np.append(again[1:], False)
        number = np.cumsum(shared & ~again) - 1
        members.append(documents[order[shared]])
        numbers.append(number[shared] + found)
        sizes.append(np.bincount(number[shared]))
        found += sizes[-1].size
    return _by_document(np.concatenate(members), np.concatenate(numbers), np.concatenate(sizes))


def _by_document(members: Int64Array, numbers: Int64Array, sizes: Int64Array) -> Buckets:
    order = np.argsort(members, kind="stable")
    documents, lengths = np.unique(members, return_counts=True)
    return Buckets(documents, Ragged.of_lengths(numbers[order], lengths), sizes)
