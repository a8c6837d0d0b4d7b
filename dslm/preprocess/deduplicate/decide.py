"""What is removed: equal documents, then nearly equal ones, then paragraphs of those that stay.

The order matters. The paragraphs of a removed document are not counted as having been seen;
otherwise a paragraph could lose its only copy. Everything follows from the input order alone: how
documents are cut into units of work and hashes into ranges makes no difference.

The path of a decision: `divided` cuts the signatures of a unit into ranges; `match` looks at a
range of all units; `decide` goes through the units in order with what all ranges found; `repeated`
looks at a range of paragraphs. Each holds a range or a unit in memory and leaves the rest on the
disk: any number of processes may share the work, and none needs the memory for all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dslm.preprocess.deduplicate.buckets import KeptOf, find_buckets
from dslm.preprocess.deduplicate.divided import PART
from dslm.preprocess.deduplicate.match import Matched
from dslm.preprocess.deduplicate.near import Advance, near_duplicates
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


@dataclass(frozen=True)
class Part:
    """A unit of work among those whose documents are compared."""

    number: int
    """Its number in input order; those of the sets to compare with come first."""
    documents: int
    """How many it has."""
    known: int
    """How many parts from the first on are known; their documents stay as they are."""


def decide(part: Part, found: Sequence[Matched]) -> Reasons:
    """Which documents of a part are equal to an earlier one.

    Args:
        part: the part.
        found: what `match` found in each range.

    Returns:
        `STAYS` or why a document is removed, for each.
    """
    reasons = np.full(part.documents, STAYS, np.uint8)
    for one in found:
        reasons[one.equal[part.number]] = DUPLICATE + OF_KNOWN * one.of_known[part.number]
    return reasons


def decide_near(
    part: Part,
    found: Sequence[Matched],
    reasons: Reasons,
    like: Callable[[int, int], bool],
    kept_of: KeptOf,
    advance: Advance,
) -> Ragged[np.int64]:
    """Which of the documents that stay are nearly equal to an earlier one.

    Args:
        part: the part.
        found: what `match` found in each range.
        reasons: those of `decide`; what is found is added.
        like: whether two documents are near, by their numbers.
        kept_of: what this returned for an earlier part.
        advance: called with how many more documents are decided, all of them in sum.

    Returns:
        Of each portion of a bucket (see `match`) the documents that were kept so far.
    """
    buckets = find_buckets(found, part.number, reasons == STAYS)
    advance(part.documents - buckets.documents.size)
    before = buckets.kept_before(kept_of)
    compare = like if part.number >= part.known else None
    near = near_duplicates(buckets, part.number, before, compare, advance)
    reasons[near.removed] = NEAR_DUPLICATE + OF_KNOWN * (near.near_to >> PART < part.known)
    return near.kept
