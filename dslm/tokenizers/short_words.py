"""Short words found in a table, many thousand at a time.

A word of at most eight bytes is read as one 64-bit number, its key; one of at most sixteen bytes as
two. As long as a word does not end with a zero byte, no other word has the same key. So numpy can
search a hash table for all words of a text at once, and no string is made of any of them.

The tables are open-addressed: a key's slot is the upper bits of a product with `MIX`, and a word
whose slot is taken goes into one of the next ones, or is left out. There is a table for keys of one
number, which is nearly all of a text, and one for keys of two. Without them sharding takes a tenth
more time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dslm.arrays import Flags, Int64Array, UInt64Array

Numbers = npt.NDArray[np.int32]

EIGHT = 8
"""Bytes in a number of a key."""

LONGEST = 2 * EIGHT
"""Bytes of a word that has a key."""

PADDING = LONGEST
"""Zero bytes that follow a text in memory: eight are read wherever a word or its rest begins."""

SLOTS = 1 << 18
"""Words that a table holds at most; those that come when it is nearly full are rare in texts."""

TRIES = 4
"""Slots that are looked at for a word."""

BLOCK = 1 << 15
"""Words that are looked for at a time: what is known of them stays in the processor's cache."""

MASK = np.array([(1 << 8 * size) - 1 for size in range(EIGHT + 1)], np.uint64)
"""The lowest bytes of a number, by how many."""

MIX, STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd numbers whose products spread their factors over the upper bits (Knuth, TAOCP 3, 6.4)."""


class ShortWords:
    """Numbers of words, by the words as they lie in a text."""

    def __init__(self) -> None:
        self._one, self._two = _Table(1), _Table(2)

    def find(self, text: bytes, starts: Int64Array) -> Numbers:
        """The number of each word, or -1 where it is not known.

        Args:
            text: what holds the words, one after the other, and `PADDING`.
            starts: the byte at which each word begins, and the end of the last one.
        """
        numbers = np.empty(starts.size - 1, np.int32)
        for begin in range(0, numbers.size, BLOCK):
            borders = starts[begin : begin + BLOCK + 1]
            sizes = np.diff(borders)
            found = self._one.find([_eight(text, borders[:-1], sizes)])
            long = np.flatnonzero(sizes > EIGHT)
            found[long] = self._two.find(_sixteen(text, borders[long], sizes[long]))
            found[long[sizes[long] > LONGEST]] = -1
            numbers[begin : begin + BLOCK] = found
        if text.find(b"\0") < starts[-1]:
            numbers[_end_in_zero(text, starts[1:])] = -1
        return numbers

    def add(self, text: bytes, starts: Int64Array, ends: Int64Array, numbers: Numbers) -> None:
        """Put in words that are not known yet, all different, as far as there is room."""
        sizes = ends - starts
        keyed = (sizes > 0) & (sizes <= LONGEST) & ~_end_in_zero(text, ends)
        one, two = np.flatnonzero(keyed & (sizes <= EIGHT)), np.flatnonzero(keyed & (sizes > EIGHT))
        self._one.add([_eight(text, starts[one], sizes[one])], numbers[one])
        self._two.add(_sixteen(text, starts[two], sizes[two]), numbers[two])


def _end_in_zero(text: bytes, ends: Int64Array) -> Flags:
    found: Flags = np.frombuffer(text, np.uint8)[ends - 1] == 0
    return found


def _eight(text: bytes, starts: Int64Array, sizes: Int64Array) -> UInt64Array:
    """The first bytes of words as numbers: as many as the sizes say, and at most eight."""
    eights = np.ndarray((len(text) - EIGHT + 1,), "<u8", text, strides=(1,))  # from every byte on
    return eights[starts] & MASK.take(sizes, mode="clip")


def _sixteen(text: bytes, starts: Int64Array, sizes: Int64Array) -> list[UInt64Array]:
    """The keys of words of more than eight bytes."""
    return [_eight(text, starts, sizes), _eight(text, starts + EIGHT, sizes - EIGHT)]


class _Table:
    """Numbers of words by keys of one number or two: a column of the table for each."""

    def __init__(self, columns: int) -> None:
        self._columns = np.zeros((columns, SLOTS), np.uint64)
        self._numbers = np.full(SLOTS, -1, np.int32)  # free

    def find(self, key: Sequence[UInt64Array]) -> Numbers:
        """The number of each word, or -1."""
        slots = _slots(key)
        numbers: Numbers = self._numbers.take(slots)
        left = np.flatnonzero(self._differ(slots, key))
        for step in range(1, TRIES):
            left = left[numbers[left] >= 0]  # a word that is known has no free slot before it
            if not left.size:
                break
            further = slots[left] + step & SLOTS - 1
            numbers[left] = self._numbers.take(further)
            left = left[self._differ(further, [part[left] for part in key])]
        numbers[left] = -1
        return numbers

    def add(self, key: Sequence[UInt64Array], numbers: Numbers) -> None:
        """Put in words that are not there, all different, as far as there is room."""
        slots, left = _slots(key), np.arange(numbers.size)
        for _ in range(TRIES):
            free = self._numbers[slots] < 0
            self._numbers[slots[free]] = numbers[left[free]]  # of two in one slot the last one wins
            won = self._numbers[slots] == numbers[left]
            for column, part in zip(self._columns, key, strict=True):
                column[slots[won]] = part[left[won]]
            left, slots = left[~won], slots[~won] + 1 & SLOTS - 1

    def _differ(self, slots: Int64Array, key: Sequence[UInt64Array]) -> Flags:
        """Whether another key is in each slot, or none."""
        differ: Flags = self._columns[0].take(slots) != key[0]
        for column, part in zip(self._columns[1:], key[1:], strict=True):
            differ |= column.take(slots) != part
        return differ


def _slots(key: Sequence[UInt64Array]) -> Int64Array:
    mixed = key[0] if len(key) == 1 else key[0] ^ key[1] * STIR
    return (mixed * MIX >> np.uint64(64 - SLOTS.bit_length() + 1)).view(np.int64)
