"""What is removed: equal documents, then nearly equal ones, then paragraphs of those that stay.

The order matters. The paragraphs of a removed document are not counted as having been seen;
otherwise a paragraph could lose its only copy. Everything follows from the input order alone: how
documents are cut into units of work makes no difference.

Texts are never held, and signatures stay in their files: a column is sorted at a time. One process
decides on documents; paragraphs are divided over all by their hashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dslm.preprocess.deduplicate.buckets import find_buckets, first_equal
from dslm.preprocess.deduplicate.near import Advance, ShinglesOf, near_duplicates
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.signatures import Signatures, join_columns
from dslm.preprocess.text.ragged import Ragged

Reasons = npt.NDArray[np.uint8]

STAYS, DUPLICATE, NEAR_DUPLICATE, OF_KNOWN = 0, 1, 2, 2
"""What happens to a document; `OF_KNOWN` is added where it is like one of those that are known."""

REASONS = (
    "",
    "duplicate",
    "near duplicate",
    "duplicate of an existing set",
    "near duplicate of an existing set",
)
"""The words for these."""


@dataclass(frozen=True)
class Decision:
    """What happens to the n documents of a unit of work."""

    reasons: Reasons
    """`STAYS`, or why a document is removed: ``[n]``."""
    removed: Ragged[np.int64]
    """The numbers of the paragraphs to cut out of each document, ascending: n rows."""


def decide(
    parts: Sequence[Signatures],
    settings: Duplicates,
    shingles_of: ShinglesOf,
    advance: Advance,
    known: int = 0,
) -> list[Reasons]:
    """Decide which documents are removed; see `repeated` for paragraphs.

    Args:
        parts: the signatures of each unit of work, in input order, made with the same settings.
        settings: what counts as being there twice.
        shingles_of: reads a document again: its number among all documents to its shingles.
        advance: called with how many more documents are decided, all of them in sum.
        known: how many documents from the first on have been decided before: they stay as they are.

    Returns:
        The reasons of the documents of each part.
    """
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    if not parts:
        return []
    reasons = np.full(ends[-1], STAYS, np.uint8)
    if settings.documents:
        first = first_equal(*join_columns([part.exact for part in parts]))
        again = first != np.arange(first.size)
        reasons[again] = DUPLICATE + OF_KNOWN * (first[again] < known)
        reasons[:known] = STAYS
    if settings.near:
        buckets = find_buckets(parts, reasons == STAYS)
        advance(reasons.size - buckets.documents.size)
        near, other = near_duplicates(buckets, settings.threshold, shingles_of, advance, known)
        reasons[near] = NEAR_DUPLICATE + OF_KNOWN * (other < known)
    else:
        advance(reasons.size)
    begins = [0, *ends[:-1].tolist()]
    return [reasons[begin:end] for begin, end in zip(begins, ends.tolist(), strict=True)]
