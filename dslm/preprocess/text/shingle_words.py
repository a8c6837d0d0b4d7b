"""Texts as the hashes of their words.

A text is lower-cased and read as words: runs of letters, digits and marks; in scripts written
without spaces every character is a word. The hash of a word is the sum of its characters times a
random factor for each place (multilinear hashing, Lemire and Kaser, "Strongly universal string
hashing is fast", 2014). All of it happens on flat arrays of code points, many texts at a time,
because one Python object for every word would cost more than all the rest.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dslm.preprocess.text.hashing import random_words
from dslm.preprocess.text.ragged import Integers, Ragged, Words

PIECE = 1 << 16
"""Characters looked at together: few enough for the cache of a core, and for flat memory. A word
that lies across the border of two pieces of one text counts as two."""

PLACES = 64
"""Characters of a word with factors of their own, a power of two; later ones use them again."""

BASIC = 0xFFFF
"""Stands for all code points from here on: Han characters and emoji, each a word."""

WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)

BETWEEN, INSIDE, ALONE = 0, 1, 2
"""A character parts words, belongs to one, or is one."""


def words(texts: Sequence[str]) -> Ragged[np.uint64]:
    """The hashes of the words of each text, in their order."""
    lengths = np.zeros(len(texts), np.int64)
    hashes = [np.zeros(0, np.uint64)]
    for owners, pieces in _blocks(texts):
        found, counts = _hashes(pieces)
        hashes.append(found)
        np.add.at(lengths, owners, counts)
    return Ragged.of_lengths(np.concatenate(hashes), lengths)


def _blocks(texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Short texts together, long ones in pieces, with the number of the text of each piece."""
    owners: list[int] = []
    pieces: list[str] = []
    waiting = 0
    for owner, text in enumerate(texts):
        for begin in range(0, len(text), PIECE):
            owners.append(owner)
            pieces.append(text[begin : begin + PIECE].lower())
            waiting += len(pieces[-1])
            if waiting >= PIECE:
                yield owners, pieces
                owners, pieces, waiting = [], [], 0
    if pieces:
        yield owners, pieces


def _hashes(pieces: Sequence[str]) -> tuple[Words, Integers]:
    """The hashes of all words of some pieces, and how many words each piece has."""
    joined = "\n" + "".join(f"{piece}\n" for piece in pieces)
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), "<u4")
    kinds = _kinds()[np.minimum(codes, BASIC)]
    begins = kinds == ALONE
    begins[1:] |= (kinds[1:] == INSIDE) & (kinds[:-1] != INSIDE)
    ends = np.cumsum([len(piece) + 1 for piece in pieces])
    counts = np.diff(np.searchsorted(np.flatnonzero(begins), ends), prepend=0)

    kept = np.flatnonzero(kinds)
    letters, first = codes[kept], np.flatnonzero(begins[kept])
    if not first.size:
        return np.zeros(0, np.uint64), counts
    places = np.arange(letters.size) - np.repeat(first, np.diff(first, append=letters.size))
    products = letters * random_words("letters", PLACES)[places & (PLACES - 1)]
    return np.add.reduceat(products, first), counts


@functools.cache
def _kinds() -> npt.NDArray[np.uint8]:
    """What each code point up to `BASIC` is: ``uint8[65536]``."""
    categories = [unicodedata.category(chr(code))[0] for code in range(BASIC)]
    kinds = np.array(
        [INSIDE if category in "LNM" else BETWEEN for category in categories], np.uint8
    )
    for first, last in WITHOUT_SPACES:
        kinds[first : last + 1] *= ALONE
    return np.append(kinds, np.uint8(ALONE))
