"""The buckets that the documents of one part are in, put together from all ranges of hashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dslm.arrays import Flags, Int64Array
from dslm.preprocess.deduplicate.divided import PART
from dslm.preprocess.deduplicate.match import PLACE, Matched
from dslm.preprocess.text.ragged import Ragged

KeptOf = Callable[[int], "Ragged[np.int64]"]
"""By the number of an earlier part: of each of its portions the documents that were kept so far."""


@dataclass(frozen=True)
class Buckets:
    """The portions of a part, see `match`: what it holds of each bucket."""

    documents: Int64Array
    """Its documents that are in some bucket, by their places, ascending."""
    of_document: Ragged[np.int64]
    """The numbers of the portions of each of these."""
    sizes: Int64Array
    """Documents of each portion."""
    before: Int64Array
    """The portion before each, numbered as `number_all` does, or -1."""

    def kept_before(self, kept_of: KeptOf) -> Ragged[np.int64]:
        """What earlier parts kept of the bucket of each portion."""
        owners = self.before >> PART
        order = np.argsort(owners, kind="stable")
        parts, begins = np.unique(owners[order], return_index=True)
        rows = [Ragged.of_lengths(np.zeros(0, np.int64), np.zeros(0, np.int64))]
        for part, portions in zip(parts.tolist(), np.split(order, begins[1:]), strict=False):
            if part < 0:
                rows.append(Ragged.of_lengths(rows[0].values, np.zeros(portions.size, np.int64)))
            else:
                rows.append(kept_of(part).take(self.before[portions] & PLACE))
        return Ragged.concatenate(rows).take(np.argsort(order))


def find_buckets(found: Sequence[Matched], part: int, stays: Flags) -> Buckets:
    """The portions of a part, numbered through all ranges.

    Args:
        found: what `match` found in each range.
        part: the number of the part.
        stays: which of its documents take part.
    """
    counts = np.array([np.diff(one.before.offsets) for one in found])
    firsts = np.cumsum(counts, 0) - counts
    members, portions, before = [], [], []
    for first, one in zip(firsts, found, strict=True):
        earlier = one.before[part]
        before.append(np.where(earlier < 0, -1, earlier + first[earlier >> PART]))
        taken = stays[one.members[part]]
        members.append(one.members[part][taken])
        portions.append(one.portions[part][taken] + first[part])
    numbers, all_before = np.concatenate(portions), np.concatenate(before)
    owners = np.concatenate(members).astype(np.int64)
    order = np.argsort(owners, kind="stable")
    documents, lengths = np.unique(owners, return_counts=True)
    sizes = np.bincount(numbers, minlength=all_before.size)
    return Buckets(documents, Ragged.of_lengths(numbers[order], lengths), sizes, all_before)
