"""Documents as arrays of words: split once, looked at by many rules.

The texts of a batch are joined into one array of code points. A table gives each code point its
kinds, and from there everything is arithmetic on whole arrays: a word begins where white space
ends; a line or a paragraph begins at a word that line feeds come before; and the hash of what
stands between two places is a difference of running sums.

Chinese, Japanese, Thai and others write no spaces: there each character is a word, and the
punctuation after it belongs to it, as it does in English.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.preprocess.document import Document

Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Kinds = npt.NDArray[np.uint8]

LIMIT = 2**21 - 1
"""Characters of a document that are looked at: what follows hardly changes a fraction, and the
arrays stay small whatever comes in."""

VISIBLE, LETTER, DIGIT, UNSPACED, CONTINUES, ENDS, CLOSES = (1 << bit for bit in range(7))
"""Kinds of character: not white space; a letter; a digit; a letter of a script without spaces; a
letter or mark that begins a word after one; the end of a sentence; what may stand after that."""

UNSPACED_SCRIPTS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""How the Unicode names of their letters begin."""

_CODES = 0x20000
"""Code points with an entry of their own; all above are rare Chinese characters."""
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 2**64))


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
    starts: Integers
    """Where each word begins in `codes`; [W]."""
    ends: Integers
    """Where each word ends; [W]."""
    document: Integers
    """The number of the document that each word is in; [W]."""
    offsets: Integers
    """Where each document begins in `codes`, and their number; [N + 1]."""
    bounds: Integers
    """The first word of each document, and W; [N + 1]."""
    breaks: Integers
    """Line feeds before each word, at least 2 before the first of a document; [W]."""
    sums: Hashes
    """Running sums over `codes`, one longer, from which hashes are made."""

    @cached_property
    def each(self) -> Hashes:
        """A hash of each word; [W]."""
        return self.hashes(self.starts, self.ends)

    @cached_property
    def line_starts(self) -> Integers:
        """The first word of each line that has one."""
        return np.flatnonzero(self.breaks)

    @cached_property
    def line_ends(self) -> Integers:
        """The last word of each line that has one."""
        return np.append(self.line_starts, len(self.starts))[1:] - 1

    @cached_property
    def paragraph_starts(self) -> Integers:
        """The first word of each paragraph: of what stands between blank lines."""
        return np.flatnonzero(self.breaks >= 2)

    @cached_property
    def first_kinds(self) -> Kinds:
        """The kinds of the first character of each word; [W]."""
        return self.kinds[self.starts]

    @cached_property
    def characters(self) -> Integers:
        """Characters that are not white space in each document; [N]."""
        return self.total(self.ends - self.starts)

    @cached_property
    def unspaced(self) -> Flags:
        """Whether most words of a document are characters of a script without spaces; [N]."""
        return 2 * self.total(self.first_kinds & UNSPACED > 0) > np.diff(self.bounds)

    def total(self, values: npt.NDArray[Any]) -> Integers:
        """The sum over each document of one value for each word; [W] to [N]."""
        sums = np.zeros(len(values) + 1, np.int64)
        np.cumsum(values, out=sums[1:])
        return np.diff(sums[self.bounds])

    def tally(self, documents: Integers, weights: Integers | None = None) -> Integers:
        """How often each document occurs among `documents`, or the sum of its weights; [N]."""
        totals = np.bincount(documents, weights, minlength=len(self.documents))
        return totals.astype(np.int64)

    def occurrences(self, places: Flags) -> Integers:
        """How many of the places marked in `codes` are in each document; [N]."""
        return np.diff(np.searchsorted(np.flatnonzero(places), self.offsets))

    def hashes(self, starts: Integers, ends: Integers) -> Hashes:
        """A hash of the code points between each start and end, the same wherever they stand.

        A polynomial hash (Karp and Rabin 1987) modulo 2^64, read off the running sums.
        """
        return _mixed(
            (self.sums[ends] - self.sums[starts]) * _powers(len(self.codes), True)[starts]
        )


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
        _breaks(codes, starts, bounds), _running(codes),
    )  # fmt: skip


def _borders(kinds: Kinds) -> tuple[Flags, Flags]:
    """Whether a word begins at each place, and whether one ends with it."""
    visible = (kinds & VISIBLE).view(np.bool_)
    begins = visible.copy()
    begins[1:] &= ~visible[:-1]
    unspaced = kinds & UNSPACED > 0
    if unspaced.any():
        begins |= unspaced
        begins[1:] |= unspaced[:-1] & (kinds[1:] & CONTINUES > 0)
    stops = visible.copy()
    stops[:-1] &= ~visible[1:] | begins[1:]
    return begins, stops


def _breaks(codes: Codes, starts: Integers, bounds: Integers) -> Integers:
    feeds = np.flatnonzero(codes == ord("\n"))
    breaks = np.bincount(np.searchsorted(starts, feeds), minlength=len(starts) + 1)
    breaks[bounds[:-1]] = np.maximum(breaks[bounds[:-1]], 2)
    return breaks[: len(starts)]


def _running(codes: Codes) -> Hashes:
    """Before each place, and last, the sum of code point times power so far, modulo 2^64."""
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.multiply(codes, _powers(len(codes), False), out=sums[1:])
    return np.cumsum(sums, out=sums)


def _mixed(hashes: Hashes) -> Hashes:
    """Let every bit of short words, whose sums are small numbers, reach the high bits."""
    return (hashes ^ hashes >> np.uint64(32)) * _MULTIPLIER


def _powers(length: int, inverse: bool) -> Hashes:
    """The powers of the multiplier or of its inverse, from the zeroth on, modulo 2^64."""
    return _all_powers(max(20, length.bit_length()), inverse)[:length]


@lru_cache(maxsize=4)
def _all_powers(bits: int, inverse: bool) -> Hashes:
    powers = np.full(1 << bits, _INVERSE if inverse else _MULTIPLIER)
    powers[0] = 1
    return np.cumprod(powers)


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
        if unicodedata.name(character, "").startswith(UNSPACED_SCRIPTS):
            kinds |= UNSPACED
    if category[0] == "N":
        kinds |= DIGIT
    if category[0] in "LN":
        kinds |= CONTINUES
    if character in ".!?…。！？｡।؟։။។":
        kinds |= ENDS
    if category in ("Pe", "Pf") or character in "\"'":
        kinds |= CLOSES
    return kinds
