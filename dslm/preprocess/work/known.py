"""Finished shard sets against which new text is compared: their texts, back from their tokens.

A tokenizer that does not give a text back as it was, such as one that puts all in small letters,
hides duplicates letter for letter; nearly equal ones are found without regard to case.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from dslm.preprocess.work.plan import WorkUnit
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

BATCH = 256
"""Documents that are signed together."""


class KnownSets:
    """The documents of some shard sets, one set after the other.

    Args:
        folders: where they are.

    Raises:
        DataError: one is no shard set, or is not whole.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        sets = [ShardSet.open(folder) for folder in folders]
        self._readers = [ProvenanceReader(one) for one in sets]
        self._tokenizers = [load_tokenizer(one.tokenizer) for one in sets]
        self._first = [0, *accumulate(one.documents for one in sets)]
        shards = [shard for one in sets for shard in one.manifest.shards]
        self._borders = [0, *accumulate(shard.documents for shard in shards)]
        self.units = [WorkUnit(number, (), shard.bytes) for number, shard in enumerate(shards)]
        """A unit of work for each of their files."""

    def text(self, unit: int, place: int) -> str:
        """The text of a document, by its unit and its place there."""
        return self._text(self._borders[unit] + place)

    def batches(self, unit: int) -> Iterator[list[str]]:
        """The texts of a unit, some at a time."""
        begin, end = self._borders[unit : unit + 2]
        for first in range(begin, end, BATCH):
            yield [self._text(document) for document in range(first, min(first + BATCH, end))]

    def _text(self, document: int) -> str:
        """The text of a document, by its number among those of all sets."""
        number = bisect_right(self._first, document) - 1
        return self._readers[number].text(document - self._first[number], self._tokenizers[number])


@lru_cache(maxsize=1)
def known_sets(folders: tuple[Path, ...]) -> KnownSets:
    """The sets in some folders; a worker deals with many units of them."""
    return KnownSets(folders)
