"""Paragraphs that are found again, looked for by ranges of their hashes.

Equal paragraphs have equal hashes, so each range is looked at alone, by whichever process; only the
hashes of one range are in memory. The ranges are the same for any number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.arrays import Int64Array
from dslm.preprocess.deduplicate.buckets import repeated
from dslm.preprocess.deduplicate.decide import DUPLICATE, STAYS, Decision, Reasons
from dslm.preprocess.deduplicate.signatures import Signatures
from dslm.preprocess.text.ragged import Ragged

BITS = 4
RANGES = 1 << BITS
"""Ranges of hashes."""


def repeated_paragraphs(
    parts: Sequence[Signatures], reasons: Sequence[Reasons], number: int
) -> Ragged[np.int64]:
    """Those of one range that are equal to an earlier one of the documents that stay.

    Args:
        parts: the signatures of each unit of work, in input order.
        reasons: what `decide` found for each.
        number: the range.

    Returns:
        A row for each part: indices into its ``paragraphs.values``, ascending.
    """
    places, hashes = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for part, reason in zip(parts, reasons, strict=True):
        values = part.paragraphs.values
        stays = np.repeat(reason == STAYS, part.paragraphs.lengths)
        places.append(np.flatnonzero(stays & (values >> np.uint64(64 - BITS) == number)))
        hashes.append(values[places[-1]])
    again = repeated(np.concatenate(hashes))
    owners = np.repeat(np.arange(len(places)), [one.size for one in places])
    lengths = np.bincount(owners[again], minlength=len(places))[1:]
    return Ragged.of_lengths(np.concatenate(places)[again], lengths)


def cut(signed: Signatures, reasons: Reasons, places: Sequence[Int64Array]) -> Decision:
    """The decision on a unit, in which a document with nothing left is removed too.

    Args:
        signed: its signatures.
        reasons: what `decide` found.
        places: what each range found in it.
    """
    found = signed.paragraphs
    flags = np.zeros(found.values.size, np.bool_)
    for one in places:
        flags[one] = True
    owners = np.repeat(np.arange(len(found)), found.lengths)
    removed = np.bincount(owners[flags], minlength=len(found))
    nothing_left = (signed.bare > 0) & (removed == found.lengths)
    flags &= ~nothing_left[owners]
    numbers = np.arange(owners.size) - np.repeat(found.offsets[:-1], found.lengths)
    lengths = np.bincount(owners[flags], minlength=len(found))
    left = np.where(nothing_left, DUPLICATE, reasons).astype(np.uint8)
    return Decision(left, Ragged.of_lengths(numbers[flags], lengths))
