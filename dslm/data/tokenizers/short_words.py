"""Short words found in a table, many thousand at a time.

A word of at most `LONGEST` bytes is a key of two whole numbers: its first eight bytes, and the rest
with the length in the highest byte. So keys are equal where words are, and a table of them is
searched by numpy without a string being made.

The way of some words: `keys` reads them where they lie in the text; a product of each key is a
place in the table, and the key found there, or at the next places, says whether the word is known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[Any]

LONGEST = 15
"""Bytes of a word that has a key."""

PADDING = 16
"""Bytes that must follow a text in memory: the key of its last word is read beyond its end."""

PLACES = 1 << 19
"""Words that the table holds at most: twice as many as are remembered, so that most find room."""

TRIES = 4
"""Places that are looked at for a word; one that finds them taken is not put into the table."""

BLOCK = 1 << 15
"""Words that are looked for at a time: what is known of them stays in the processor's cache."""

KEY = np.dtype([("first", "<u8"), ("rest", "<u8")])

MASK = np.array([(1 << 8 * size) - 1 for size in range(9)], np.uint64)
"""The lowest bytes of a number, by how many."""

MIX, STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers whose products spread their factors over the upper bits (Knuth, TAOCP 3, 6.4)."""

SHIFT = np.uint64(64 - PLACES.bit_length() + 1)


def keys(text: bytes, starts: Integers, sizes: Integers) -> Keys:
    """The keys of words, [words] of `KEY`; a longer word gets that of no text.

    Args:
        text: what holds the words, and `PADDING` bytes more.
        starts: the byte at which each word begins.
        sizes: the bytes of each word.
    """
    eights = np.ndarray((len(text) - 7,), "<u8", text, strides=(1,))  # from every byte on
    found = np.empty(starts.size, KEY)
    found["first"] = eights[starts] & MASK[np.minimum(sizes, 8)]
    found["rest"] = sizes.astype(np.uint64) << np.uint64(56)
    long = np.flatnonzero(sizes > 8)
    found["rest"][long] |= eights[starts[long] + 8] & MASK[np.clip(sizes[long] - 8, 0, 7)]
    found[long[sizes[long] > LONGEST]] = 0
    return found


class ShortWords:
    """Numbers of words by their keys."""

    def __init__(self) -> None:
        self._keys = np.zeros(PLACES, KEY)
        self._numbers = np.full(PLACES, -1, np.int32)

    def find(self, text: bytes, starts: Integers) -> npt.NDArray[np.int32]:
        """The number of each word, or -1 where the table does not have it.

        Args:
            text: as for `keys`.
            starts: the byte at which each word begins, and the end of the last one.
        """
        numbers = np.empty(starts.size - 1, np.int32)
        for begin in range(0, numbers.size, BLOCK):
            borders = starts[begin : begin + BLOCK + 1]
            numbers[begin : begin + BLOCK] = self._find(keys(text, borders[:-1], np.diff(borders)))
        return numbers

    def _find(self, keys: Keys) -> npt.NDArray[np.int32]:
        places = _places(keys)
        numbers = self._look(keys, places)
        left = np.flatnonzero(numbers < 0)
        for further in range(1, TRIES):
            numbers[left] = self._look(keys[left], places[left] + further & PLACES - 1)
            left = left[numbers[left] < 0]
        return numbers

    def add(self, keys: Keys, numbers: npt.NDArray[np.int32]) -> None:
        """Put in words that are not there yet, all different, as far as there is room."""
        left = np.flatnonzero(keys["rest"])
        places = _places(keys)
        for further in range(TRIES):
            at = places[left] + further & PLACES - 1
            free = self._numbers[at] < 0
            self._numbers[at[free]] = numbers[left[free]]  # of two at one place the last one wins
            won = self._numbers[at] == numbers[left]
            self._keys[at[won]] = keys[left[won]]
            left = left[~won]

    def _look(self, keys: Keys, places: Integers) -> npt.NDArray[np.int32]:
        there = self._keys.take(places)
        same = (there["first"] == keys["first"]) & (there["rest"] == keys["rest"])
        return np.where(same, self._numbers.take(places), np.int32(-1))


def _places(keys: Keys) -> Integers:
    mixed = (keys["first"] ^ keys["rest"] * STIR) * MIX
    return (mixed >> SHIFT).view(np.int64)
