"""Paragraphs that are found again, looked for by ranges of their hashes; see `divided`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.arrays import Int64Array
from dslm.preprocess.deduplicate.decide import DUPLICATE, STAYS, Decision, Reasons
from dslm.preprocess.deduplicate.divided import PART, Divided, Range
from dslm.preprocess.deduplicate.match import PLACE, first_equal
from dslm.preprocess.text.ragged import Ragged


def repeated_paragraphs(hashes: Range, reasons: Sequence[Reasons]) -> Ragged[np.int64]:
    """Those of one range that are equal to an earlier one of the documents that stay.

    Args:
        hashes: the range.
        reasons: what `decide` found for the documents of each part.

    Returns:
        A row for each part: the places of paragraphs among all of it, ascending.
    """
    values, numbers = hashes.paragraphs
    stays = np.zeros(numbers.size, np.bool_)
    ends = np.searchsorted(numbers >> PART, np.arange(len(hashes.parts) + 1))
    for number, (part, reason) in enumerate(zip(hashes.parts, reasons, strict=True)):
        own = slice(ends[number], ends[number + 1])
        places = (numbers[own] & PLACE).astype(np.uint32)
        stays[own] = reason[np.searchsorted(part.ends, places, "right")] == STAYS
    values, numbers = values[stays], numbers[stays]
    again = first_equal(values) != np.arange(values.size)
    lengths = np.bincount(numbers[again] >> PART, minlength=len(hashes.parts))
    return Ragged.of_lengths(numbers[again] & PLACE, lengths)


def cut(signed: Divided, reasons: Reasons, places: Sequence[Int64Array]) -> Decision:
    """The decision on a unit, in which a document with nothing left is removed too.

    Args:
        signed: its signatures.
        reasons: what `decide` found.
        places: what each range found in it.
    """
    offsets = np.append(0, signed.ends).astype(np.int64)
    lengths = np.diff(offsets)
    owners = np.repeat(np.arange(lengths.size), lengths)
    flags = np.zeros(owners.size, np.bool_)
    for one in places:
        flags[one] = True
    removed = np.bincount(owners[flags], minlength=lengths.size)
    nothing_left = (signed.bare > 0) & (removed == lengths)
    flags &= ~nothing_left[owners]
    numbers = np.arange(owners.size) - np.repeat(offsets[:-1], lengths)
    left = np.where(nothing_left, DUPLICATE, reasons).astype(np.uint8)
    counts = np.bincount(owners[flags], minlength=lengths.size)
    return Decision(left, Ragged.of_lengths(numbers[flags], counts))
