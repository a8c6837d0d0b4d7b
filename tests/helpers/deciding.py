"""The whole search for duplicates in memory, divided as a caller likes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.preprocess.deduplicate.decide import Decision, Part, decide, decide_near
from dslm.preprocess.deduplicate.divided import Range, divide
from dslm.preprocess.deduplicate.match import match
from dslm.preprocess.deduplicate.near import Likeness, ShinglesOf
from dslm.preprocess.deduplicate.repeated import cut, repeated_paragraphs
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.signatures import Signatures
from dslm.preprocess.text.ragged import Ragged


def decisions(
    parts: Sequence[Signatures],
    settings: Duplicates,
    shingles_of: ShinglesOf,
    ranges: int = 16,
    known: int = 0,
) -> list[Decision]:
    """What happens to the documents of each part.

    Args:
        parts: the signatures of each.
        settings: what they were made with.
        shingles_of: reads a document by its number in its part and all before it.
        ranges: ranges of hashes.
        known: how many parts are known.
    """
    divided = [divide(part, ranges) for part in parts]
    firsts = np.cumsum([0, *map(len, divided)]).tolist()
    like = Likeness(lambda n: shingles_of(firsts[n >> 32] + n % (1 << 32)), settings.threshold)
    found = [match(Range(divided, number, ranges), known) for number in range(ranges)]
    reasons, kept, seen = [], list[Ragged[np.int64]](), list[int]()
    for number, one in enumerate(divided):
        part = Part(number, len(one), known)
        reasons.append(decide(part, found))
        if settings.near:
            kept.append(decide_near(part, found, reasons[-1], like, kept.__getitem__, seen.append))
    assert sum(seen) == (firsts[-1] if settings.near else 0)
    places = [
        repeated_paragraphs(Range(divided, number, ranges), reasons) for number in range(ranges)
    ]
    return [
        cut(one, reasons[number], [row[number] for row in places])
        for number, one in enumerate(divided)
    ]
