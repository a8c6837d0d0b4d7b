"""Texts as the hashes of their words, case and punctuation aside: for whatever compares texts.

    texts  ->  pieces, many at a time  ->  code points  ->  where words begin  ->  a hash of each

Words are letters, digits and marks; in scripts without spaces every character is a word.
What punctuation does is the one difference between the two functions: for contamination it is left
out, so that ``Don't`` and ``dont`` are one word (Brown et al. 2020); for near duplicates it parts
words, as white space does. All of it happens on flat arrays, because one Python object for every
word would cost more than all the rest.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, UInt64Array
from dslm.preprocess.text.hashing import SpanHashes, random_factors
from dslm.preprocess.text.ragged import Ragged
from dslm.preprocess.text.scripts import SEPARATORS, UNSPACED_LETTERS

Codes = npt.NDArray[Any]

PIECE = 1 << 15
"""Characters looked at together: few enough for the cache of a core, and for flat memory. A word as
long as that may be cut in two."""

FACTORS = 64
"""Characters of a word with factors of their own, a power of two; later ones use them again."""

BASIC = 0xFFFF
"""Represents all code points from here on: rare Han characters and emoji."""

BETWEEN, INSIDE, ALONE = 0, 1, 2
"""A character parts words, belongs to one, or is one."""


@dataclass(frozen=True)
class _Reading:
    """How pieces of text are read as words."""

    codes: Callable[[Sequence[str]], tuple[Codes, Int64Array]]
    """The code points of pieces, with one that parts words after each; and where each ends."""
    kinds: npt.NDArray[np.uint8]
    """`BETWEEN`, `INSIDE` or `ALONE` for each code point up to `BASIC`."""
    hashes: Callable[[Codes, Int64Array], UInt64Array]
    """The hash of each word, from codes that are zero between words and the starts of words."""


def words_without_punctuation(texts: Sequence[str]) -> Ragged[np.uint64]:
    """The hashes of the words of each text; punctuation, emoji and rare Han are left out."""
    return _words(texts, _without_punctuation())


def words_between_punctuation(texts: Sequence[str]) -> Ragged[np.uint64]:
    """The hashes of the words of each text; an emoji or a rare Han character is a word."""
    return _words(texts, _between_punctuation())


def _words(texts: Sequence[str], reading: _Reading) -> Ragged[np.uint64]:
    lengths = np.zeros(len(texts), np.int64)
    hashes = [np.zeros(0, np.uint64)]
    for owners, pieces in _blocks(texts):
        codes, ends = reading.codes(pieces)
        kinds = reading.kinds.take(codes, mode="clip")
        begins = kinds == INSIDE
        begins[1:] &= kinds[:-1] != INSIDE
        begins |= kinds == ALONE
        starts = np.flatnonzero(begins)
        hashes.append(reading.hashes(codes * (kinds > BETWEEN), starts))
        np.add.at(lengths, owners, np.diff(np.searchsorted(starts, ends), prepend=0))
    return Ragged.of_lengths(np.concatenate(hashes), lengths)


def _blocks(texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Short texts together, long ones in pieces, with the number of the text of each piece."""
    owners: list[int] = []
    pieces: list[str] = []
    size = 0
    for owner, text in enumerate(texts):
        for piece in _pieces(text):
            if size + len(piece) > PIECE:
                yield owners, pieces
                owners, pieces, size = [], [], 0
            owners.append(owner)
            pieces.append(piece)
            size += len(piece)
    if pieces:
        yield owners, pieces


def _pieces(text: str) -> Iterator[str]:
    """A text, if it is long cut at white space."""
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = space + 1 if space >= 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


@lru_cache(maxsize=1)
def _without_punctuation() -> _Reading:
    plain = np.array([_plain(chr(code)) for code in range(BASIC)] + [BASIC], np.uint16)
    plain_ascii = (plain[:256] & 0xFF).astype(np.uint8).tobytes()
    dropped_ascii = bytes(np.flatnonzero(plain[:128] == BASIC).tolist())

    def codes_of(piece: str) -> Codes:
        if piece.isascii():  # several times faster
            return np.frombuffer(piece.encode().translate(plain_ascii, dropped_ascii), np.uint8)
        codes = plain.take(_code_points(piece), mode="clip")
        kept: Codes = codes[codes != BASIC]
        return kept

    def codes(pieces: Sequence[str]) -> tuple[Codes, Int64Array]:
        parts = [codes_of(piece) for piece in pieces]
        ends = np.cumsum([len(part) + 1 for part in parts])
        joined = np.zeros(ends[-1], np.uint16)
        for end, part in zip(ends.tolist(), parts, strict=True):
            joined[end - 1 - len(part) : end - 1] = part
        return joined, ends

    def hashes(codes: Codes, starts: Int64Array) -> UInt64Array:
        return SpanHashes(codes)(starts, np.append(starts[1:], len(codes)))

    return _Reading(codes, _kinds(), hashes)


def _plain(character: str) -> int:
    """The code point of a letter in lower case, a mark or a digit; 0 for what parts words."""
    if character.isspace() or character in SEPARATORS:
        return 0
    wanted = unicodedata.category(character)[0] in "LMN"
    return ord(character.lower()[0]) if wanted else BASIC


@lru_cache(maxsize=1)
def _between_punctuation() -> _Reading:
    factors = random_factors("letters", FACTORS)

    def codes(pieces: Sequence[str]) -> tuple[Codes, Int64Array]:
        lowered = [f"{piece.lower()}\n" for piece in pieces]
        return _code_points("".join(lowered)), np.cumsum([len(piece) for piece in lowered])

    def hashes(codes: Codes, starts: Int64Array) -> UInt64Array:
        """The sums of characters times a random factor for each index in the word.

        Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast", 2014).
        """
        if not starts.size:
            return np.zeros(0, np.uint64)
        index = np.arange(codes.size)
        index[starts[0] :] -= np.repeat(starts, np.diff(starts, append=codes.size))
        return np.add.reduceat(codes * factors[index & (FACTORS - 1)], starts)

    return _Reading(codes, _kinds(), hashes)


def _code_points(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _kinds() -> npt.NDArray[np.uint8]:
    words = [INSIDE, ALONE]
    kinds = [
        words[letter in UNSPACED_LETTERS] if unicodedata.category(letter)[0] in "LNM" else BETWEEN
        for letter in map(chr, range(BASIC))
    ]
    return np.array([*kinds, ALONE], np.uint8)
