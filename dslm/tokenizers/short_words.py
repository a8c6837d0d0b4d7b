"""Short words found in a table, many thousand at a time.

A word of at most `LONGEST` bytes is a whole number or two: its first eight bytes, and the rest. As
long as its last byte is not zero, no other word has the same numbers. So they are keys in a table
that numpy searches without a string being made; most words of a text need the first one alone.

The way of some words: their keys are read where they lie in the text; a product of each key is a
place in the table, and the key found there, or at the next places, says whether the word is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.int32]
Keys = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

LONGEST = 16
"""Bytes of a word that has keys."""

PADDING = 16
"""Bytes of zero that follow a text in memory: the keys of its last word are read beyond its end."""

PLACES = 1 << 18
"""Words that a table holds at most; those that come when it is nearly full are rare in texts."""

TRIES = 4
"""Places that are looked at for a word; one that finds them taken is not put into the table."""

BLOCK = 1 << 15
"""Words that are looked for at a time: what is known of them stays in the processor's cache."""

LANE = 8
"""Bytes in a key."""

MASK = np.array([(1 << 8 * size) - 1 for size in range(LANE + 1)], np.uint64)
"""The lowest bytes of a number, by how many."""

MIX, STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers whose products spread their factors over the upper bits (Knuth, TAOCP 3, 6.4)."""


SHIFT = np.uint64(64 - PLACES.bit_length() + 1)


class ShortWords:
    """Numbers of words, by the words as they lie in a text."""

    def __init__(self) -> None:
        self._short, self._longer = _Table(1), _Table(2)

    def find(self, text: bytes, starts: Integers) -> Numbers:
        """The number of each word, or -1 where it is not known.

        Args:
            text: what holds the words, one behind the other, and `PADDING`.
            starts: the byte at which each word begins, and the end of the last one.
        """
        numbers = np.empty(starts.size - 1, np.int32)
        for begin in range(0, numbers.size, BLOCK):
            borders = starts[begin : begin + BLOCK + 1]
            sizes = np.diff(borders)
            found = self._short.find([_lane(text, borders[:-1], sizes)])
            long = np.flatnonzero(sizes > LANE)
            found[long] = self._longer.find(_lanes(text, borders[long], sizes[long]))
            found[long[sizes[long] > LONGEST]] = -1
            numbers[begin : begin + BLOCK] = found
        if text.find(b"\0") < starts[-1]:
            numbers[_ends_in_zero(text, starts[1:])] = -1
        return numbers

    def add(self, text: bytes, starts: Integers, ends: Integers, numbers: Numbers) -> None:
        """Put in words that are not known yet, all different, as far as there is room."""
        sizes = ends - starts
        keyed = (sizes > 0) & (sizes <= LONGEST) & ~_ends_in_zero(text, ends)
        short, longer = (
            np.flatnonzero(keyed & (sizes <= LANE)),
            np.flatnonzero(keyed & (sizes > LANE)),
        )
        self._short.add([_lane(text, starts[short], sizes[short])], numbers[short])
        self._longer.add(_lanes(text, starts[longer], sizes[longer]), numbers[longer])


def _ends_in_zero(text: bytes, ends: Integers) -> Flags:
    found: Flags = np.frombuffer(text, np.uint8)[ends - 1] == 0
    return found


def _lane(text: bytes, starts: Integers, sizes: Integers) -> Keys:
    """The first bytes of words as numbers; so many as the sizes say, and at most eight."""
    eights = np.ndarray((len(text) - LANE + 1,), "<u8", text, strides=(1,))  # from every byte on
    return eights[starts] & MASK.take(sizes, mode="clip")


def _lanes(text: bytes, starts: Integers, sizes: Integers) -> list[Keys]:
    """Both keys of words of more than eight bytes."""
    return [_lane(text, starts, sizes), _lane(text, starts + LANE, sizes - LANE)]


class _Table:
    """Numbers of words by one key or two."""

    def __init__(self, lanes: int) -> None:
        self._keys = [np.zeros(PLACES, np.uint64) for _ in range(lanes)]
        self._numbers = np.full(PLACES, -1, np.int32)

    def find(self, keys: Sequence[Keys]) -> Numbers:
        """The number of each word, or -1."""
        places = _places(keys)
        numbers: Numbers = self._numbers.take(places)
        left = np.flatnonzero(self._differ(keys, places))
        for further in range(1, TRIES):
            left = left[numbers[left] >= 0]  # a word that is known has no free place before it
            if not left.size:
                break
            at = places[left] + further & PLACES - 1
            numbers[left] = self._numbers.take(at)
            left = left[self._differ([key[left] for key in keys], at)]
        numbers[left] = -1
        return numbers

    def add(self, keys: Sequence[Keys], numbers: Numbers) -> None:
        """Put in words that are not there, all different, as far as there is room."""
        places, left = _places(keys), np.arange(numbers.size)
        for further in range(TRIES):
            at = places[left] + further & PLACES - 1
            free = self._numbers[at] < 0
            self._numbers[at[free]] = numbers[left[free]]  # of two at one place the last one wins
            won = self._numbers[at] == numbers[left]
            for mine, key in zip(self._keys, keys, strict=True):
                mine[at[won]] = key[left[won]]
            left = left[~won]

    def _differ(self, keys: Sequence[Keys], places: Integers) -> Flags:
        """Whether another key is at each place, or none."""
        differ: Flags = self._keys[0].take(places) != keys[0]
        for mine, key in zip(self._keys[1:], keys[1:], strict=True):
            differ |= mine.take(places) != key
        return differ


def _places(keys: Sequence[Keys]) -> Integers:
    mixed = keys[0] if len(keys) == 1 else keys[0] ^ keys[1] * STIR
    return (mixed * MIX >> SHIFT).view(np.int64)
