"""Signatures as the search for duplicates reads them: divided by ranges of hashes.

What is equal has equal hashes, so each range is looked at alone, by whichever process, and no more
than one is in memory. Workers divide the signatures of a unit of work while they clean it; a range
is one run of its file, so all ranges together read each file once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, UInt64Array
from dslm.preprocess.deduplicate.minhash import NO_WORDS
from dslm.preprocess.deduplicate.signatures import Signatures
from dslm.preprocess.text import ragged
from dslm.preprocess.text.ragged import Ragged

FEWEST, MOST = 16, 1024
"""Ranges: as many as there are units of work, so that all processes have something to do here too,
but enough to divide the memory, and not too many runs for a file."""

PART = 32
"""Bits of a document's place in its part; above them is the number of the part."""


_EXACT, _PARAGRAPHS, _BAND = 0, 2, 3
"""The first of the columns of each kind."""


def ranges_of(units: int) -> int:
    """How many ranges the hashes of some units of work are divided into."""
    return min(max(units, FEWEST), MOST)


def number_all(part: int, places: npt.NDArray[Any]) -> Int64Array:
    """The numbers of places of a part among those of all parts, ascending in input order."""
    numbers: Int64Array = places.astype(np.int64) + (part << PART)
    return numbers


@dataclass(frozen=True)
class Divided:
    """The signatures of a unit of work with n documents.

    Each column of `Signatures` is a row for each of its ranges: the two of `exact`, that of
    paragraphs, those of `bands`.
    """

    hashes: Ragged[np.uint64]
    """The hashes of a column and a range, in the order of their places; the second column of
    `exact` is divided as the first is. The bands of texts without words are left out."""
    places: Ragged[np.uint32]
    """Where each is in its column: the number of the document or of the paragraph, from 0."""
    ends: npt.NDArray[np.uint32]
    """Paragraphs of each document and all before it: ``[n]``."""
    bare: npt.NDArray[np.uint8]
    """As in `Signatures`: ``[n]``."""

    def __len__(self) -> int:
        return self.bare.size

    def save(self, path: Path) -> None:
        """Write them to a file; see `ragged.save`."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "hashes": self.hashes.values,
            "hash_ends": self.hashes.offsets,
            "places": self.places.values,
            "place_ends": self.places.offsets,
            "ends": self.ends,
            "bare": self.bare,
        }
        ragged.save(path, {name: _one_row(array) for name, array in arrays.items()})

    @classmethod
    def load(cls, path: Path) -> Divided:
        """Map the file of `save` into memory; see `ragged.load`."""
        found = {name: column.values for name, column in ragged.load(path).items()}
        return cls(
            Ragged(found["hashes"], found["hash_ends"]),
            Ragged(found["places"], found["place_ends"]),
            found["ends"],
            found["bare"],
        )


@dataclass(frozen=True)
class Range:
    """One range of the hashes of all parts."""

    parts: Sequence[Divided]
    """The signatures of each unit of work, in input order."""
    number: int
    """Which range."""
    ranges: int
    """Of how many."""

    @property
    def exact(self) -> tuple[UInt64Array, UInt64Array, Int64Array]:
        """The halves of the hashes of texts, and the numbers of their documents, ascending."""
        return self._hashes(_EXACT), self._hashes(_EXACT + 1), self._numbers(_EXACT)

    @property
    def paragraphs(self) -> tuple[UInt64Array, Int64Array]:
        """The hashes of paragraphs, and their numbers, ascending."""
        return self._hashes(_PARAGRAPHS), self._numbers(_PARAGRAPHS)

    @property
    def bands(self) -> Iterator[tuple[UInt64Array, Int64Array]]:
        """Of each band the hashes, and the numbers of their documents, ascending."""
        columns = len(self.parts[0].hashes) // self.ranges
        for column in range(_BAND, columns):
            yield self._hashes(column), self._numbers(column)

    def _hashes(self, column: int) -> UInt64Array:
        row = column * self.ranges + self.number
        return np.concatenate([part.hashes[row] for part in self.parts])

    def _numbers(self, column: int) -> Int64Array:
        row = column * self.ranges + self.number
        return np.concatenate(
            [number_all(n, part.places[row]) for n, part in enumerate(self.parts)]
        )


def divide(signed: Signatures, ranges: int) -> Divided:
    """The signatures of a unit of work, divided."""
    high, low = signed.exact or (np.zeros(0, np.uint64),) * 2
    columns = [(high, high), (high, low), (signed.paragraphs.values,) * 2]
    cut = [_cut(keys, values, np.arange(keys.size), ranges) for keys, values in columns]
    for band in signed.bands:
        with_words = np.flatnonzero(band != NO_WORDS)
        cut.append(_cut(band[with_words], band[with_words], with_words, ranges))
    hashes, places = zip(*cut, strict=True)
    ends = signed.paragraphs.offsets[1:].astype(np.uint32)
    return Divided(Ragged.concatenate(hashes), Ragged.concatenate(places), ends, signed.bare)


def _cut(
    keys: UInt64Array, values: UInt64Array, places: Int64Array, ranges: int
) -> tuple[Ragged[np.uint64], Ragged[np.uint32]]:
    """A column and its places, divided by its own hashes or those of another."""
    upper = keys >> np.uint64(32)
    numbers = (upper * np.uint64(ranges) >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(numbers, kind="stable")
    lengths = np.bincount(numbers, minlength=ranges)
    return (
        Ragged.of_lengths(values[order], lengths),
        Ragged.of_lengths(places[order].astype(np.uint32), lengths),
    )


def _one_row(array: npt.NDArray[Any]) -> Ragged[Any]:
    """An array of any length, as a file of others holds it."""
    return Ragged.of_lengths(array, np.array([array.size]))
