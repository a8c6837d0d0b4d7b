"""Documents as arrays of words: split once, looked at by many rules.

The texts of a batch are joined into one array of code points. A table gives each code point its
kinds, and from there everything is arithmetic on whole arrays: a word begins where white space
ends; a line or a paragraph begins at a word that line feeds come before; and the hash of what is
between two positions is a difference of running sums.

Chinese, Japanese, Thai and others write no spaces: there each letter is a word, and the punctuation
after it belongs to it, as it does in English; `Words.number` counts what makes a word in Thai.
Tibetan and Ethiopic part words by marks of their own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Flags, Int64Array, UInt64Array
from dslm.preprocess.document import Document
from dslm.preprocess.text.hashing import SpanHashes
from dslm.preprocess.text.scripts import (
    PHONETIC_END,
    PUNCTUATION,
    SEPARATORS,
    UNSPACED_LETTERS,
)

Codes = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.uint8]

LIMIT = 2**21 - 1
"""Characters of a document that are looked at: what follows hardly changes a fraction, and the
arrays stay small whatever comes in."""

VISIBLE, LETTER, DIGIT, UNSPACED, PARTS, CONTINUES, ENDS, CLOSES = (1 << bit for bit in range(8))
"""Kinds of character: not white space; a letter; a digit; a letter of a script without spaces; a
mark that parts words; a letter or digit that begins a word after either; the end of a sentence;
what may come after that."""
PHONETIC = 4
"""Letters to a word in scripts without spaces whose letters are sounds: see `PHONETIC_END`."""

_CODES = 0x20000
"""Code points with an entry of their own; all above are rare Chinese characters."""


@dataclass(frozen=True)
class Words:
    """The words of some documents, in order; **W** words, **N** documents."""

    documents: Sequence[Document]
    """The documents themselves."""
    texts: Sequence[str]
    """Their texts, as far as they are looked at."""
    codes: Codes
    """The code points of all the texts."""
    kinds: Kinds
    """The kinds of each code point."""
    starts: Int64Array
    """Where each word begins in `codes`; [W]."""
    ends: Int64Array
    """Where each word ends; [W]."""
    document: Int64Array
    """The number of the document that each word is in; [W]."""
    offsets: Int64Array
    """Where each document begins in `codes`, and their number; [N + 1]."""
    bounds: Int64Array
    """The first word of each document, and W; [N + 1]."""
    breaks: Int64Array
    """Line feeds before each word, at least 2 before the first of a document; [W]."""
    hashes: SpanHashes
    """Called with starts and ends in `codes`, gives a hash of what is between them."""

    @cached_property
    def each(self) -> UInt64Array:
        """A hash of each word; [W]."""
        return self.hashes(self.starts, self.ends)

    @cached_property
    def line_starts(self) -> Int64Array:
        """The first word of each line that has one."""
        return np.flatnonzero(self.breaks)

    @cached_property
    def line_ends(self) -> Int64Array:
        """The last word of each line that has one."""
        return np.append(self.line_starts, len(self.starts))[1:] - 1

    @cached_property
    def paragraph_starts(self) -> Int64Array:
        """The first word of each paragraph: of what is between blank lines."""
        return np.flatnonzero(self.breaks >= 2)

    @cached_property
    def first_kinds(self) -> Kinds:
        """The kinds of the first character of each word; [W]."""
        return self.kinds[self.starts]

    @cached_property
    def characters(self) -> Int64Array:
        """Characters that are not white space in each document; [N]."""
        return self.total(self.ends - self.starts)

    @cached_property
    def number(self) -> Int64Array:
        """How many words each document has, `PHONETIC` letters of Thai and the like to one; [N]."""
        letters = self.unspaced_below(PHONETIC_END)
        return np.diff(self.bounds) - letters + letters // PHONETIC

    @cached_property
    def syllables(self) -> Int64Array:
        """Letters of Chinese, Japanese and the like in each document; [N]."""
        return self.unspaced_below(_CODES + 1) - self.unspaced_below(PHONETIC_END)

    @cached_property
    def unspaced(self) -> Flags:
        """Whether most words of a document are letters of a script without spaces; [N]."""
        return 2 * self.unspaced_below(_CODES + 1) > np.diff(self.bounds)

    def unspaced_below(self, end: int) -> Int64Array:
        """How many letters of scripts without spaces each document has before a code point; [N]."""
        letters = self._unspaced_letters
        if end <= _CODES:
            letters = letters[self.codes[self.starts[letters]] < end]
        return self.tally(self.document[letters])

    @cached_property
    def _unspaced_letters(self) -> Int64Array:
        return np.flatnonzero(self.first_kinds & UNSPACED)

    def total(self, values: npt.NDArray[Any]) -> Int64Array:
        """The sum over each document of one value for each word; [W] to [N]."""
        sums = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values, out=sums[1:])
        return np.diff(sums[self.bounds])

    def tally(self, documents: Int64Array, weights: Int64Array | None = None) -> Int64Array:
        """How often each document occurs among `documents`, or the sum of its weights; [N]."""
        totals = np.bincount(documents, weights, minlength=len(self.documents))
        return totals.astype(np.int64)

    def occurrences(self, positions: Flags) -> Int64Array:
        """How many of the positions marked in `codes` are in each document; [N]."""
        return np.diff(np.searchsorted(np.flatnonzero(positions), self.offsets))


def split(documents: Sequence[Document]) -> Words:
    """Split the texts of some documents, a megabyte or so together, into words."""
    texts = [document.text[:LIMIT] for document in documents]
    joined = "\n".join([*texts, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = _table(int(codes.max(initial=0)).bit_length()).take(codes, mode="clip")
    begins, stops = _borders(kinds)
    starts, ends = np.flatnonzero(begins), np.flatnonzero(stops) + 1
    offsets = np.cumsum([0, *(len(text) + 1 for text in texts)])
    bounds = np.searchsorted(starts, offsets)
    document = np.repeat(np.arange(len(texts)), np.diff(bounds))
    return Words(
        documents, texts, codes, kinds, starts, ends, document, offsets, bounds,
        _breaks(codes, starts, bounds), SpanHashes(codes),
    )  # fmt: skip


def _borders(kinds: Kinds) -> tuple[Flags, Flags]:
    """Whether a word begins at each position, and whether one ends with it."""
    visible = (kinds & VISIBLE).view(np.bool_)
    begins = visible.copy()
    begins[1:] &= ~visible[:-1]
    alone = kinds & (UNSPACED | PARTS)
    if alone.any():
        begins |= alone & UNSPACED > 0
        begins[1:] |= (alone[:-1] > 0) & (kinds[1:] & CONTINUES > 0)
    stops = visible.copy()
    stops[:-1] &= ~visible[1:] | begins[1:]
    return begins, stops


def _breaks(codes: Codes, starts: Int64Array, bounds: Int64Array) -> Int64Array:
    feeds = np.flatnonzero(codes == ord("\n"))
    breaks = np.bincount(np.searchsorted(starts, feeds), minlength=len(starts) + 1)
    breaks[bounds[:-1]] = np.maximum(breaks[bounds[:-1]], 2)
    return breaks[: len(starts)]


@lru_cache
def _table(bits: int) -> Kinds:
    """The kinds of every code point of so many bits, up to `_CODES`, the entry for all above."""
    return np.array([_kinds(chr(code)) for code in range(min(1 << bits, _CODES + 1))], np.uint8)


def _kinds(character: str) -> int:
    category = unicodedata.category(character)
    kinds = 0
    if not character.isspace():
        kinds |= VISIBLE
    if category[0] == "L":
        kinds |= LETTER
        if character in UNSPACED_LETTERS:
            kinds |= UNSPACED
    if category[0] == "N":
        kinds |= DIGIT
    if category[0] in "LN":
        kinds |= CONTINUES
    if character in SEPARATORS:
        kinds |= PARTS
    if character in PUNCTUATION:
        kinds |= ENDS
    if category in ("Pe", "Pf") or character in "\"'":
        kinds |= CLOSES
    return kinds
