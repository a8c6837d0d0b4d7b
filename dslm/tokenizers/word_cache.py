"""Words that were encoded before need not be encoded again.

Text repeats its words, and cutting a word into pieces costs far more than finding it in a table.
The path of some texts: their bytes are cut into words; short ones are found in a table as numbers;
of the others Arrow finds the distinct ones, and those never seen are encoded together by the plain
encoder and remembered; the ids of all words are then put in a row.

This is exact where no token runs across a border between words and what is on one side of it
changes nothing on the other. Whoever makes a cache knows the borders of its tokenizer; they are
checked all the same on texts made to be hard, and where one id differs there is no cache. That is
decided by the tokenizer alone: had the texts at hand a say, the ids of a text could depend on which
process met which texts first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from dslm.arrays import Flags, Int64Array, Tokens, to_arrow, to_numpy
from dslm.tokenizers.probes import PROBES, neighbours
from dslm.tokenizers.short_words import BLOCK, PADDING, Numbers, ShortWords
from dslm.tokenizers.tokenizer import Encoded

MOST_WORDS = 1 << 18
MOST_CHARACTERS = 1 << 24
"""Distinct words, and characters of them, after which the cache starts over."""

VISIBLE = range(0x21, 0x7F)
"""The bytes of ASCII that are neither white space nor control characters."""

Encode = Callable[[Sequence[str]], Encoded]
"""From short texts to all their ids, and where those of each end."""


def cached(
    plain: Encode,
    dtype: np.dtype[Any],
    borders: Flags,
    dropped: int = 0,
) -> Encode | None:
    """An encoder that remembers words, or `None` where that would change an id.

    Args:
        plain: the encoder to ask for words not seen before.
        dtype: the type of its ids.
        borders: whether a word may end with one byte of UTF-8 and another begin with the next one,
            bool [256, 256].
        dropped: spaces to leave out where a word begins: 1 for tokenizers that put one before every
            text, whose words must all begin with a space.
    """
    cache = WordCache(plain, dtype, borders, dropped)
    texts = [*PROBES, *neighbours()]
    ids = plain(texts)
    first, again = (all(map(np.array_equal, cache(texts), ids)) for _ in range(2))
    return cache if first and again else None


def apart(pieces: Sequence[str]) -> Flags:
    """Which bytes of UTF-8 stand side by side in no piece, bool [256, 256]."""
    codes = np.frombuffer(b"\xff".join(map(str.encode, pieces)), dtype=np.uint8)
    borders = np.ones((256, 256), dtype=bool)
    borders[codes[:-1], codes[1:]] = False
    borders[:, 0x80:0xC0] = False  # within a character
    return borders


class WordCache:
    """An encoder that remembers words; see `cached`."""

    def __init__(
        self,
        plain: Encode,
        dtype: np.dtype[Any],
        borders: Flags,
        dropped: int,
    ) -> None:
        self._plain, self._dtype, self._dropped = plain, dtype, dropped
        self._borders = np.ascontiguousarray(borders.T).ravel()  # the first byte is the lower one
        self._table = _Table(dtype)

    def __call__(self, parts: Sequence[str]) -> Encoded:
        """The ids of short texts and where those of each end."""
        if self._table.full:
            self._table = _Table(self._dtype)
        encoded = [b" " * self._dropped + part.encode() for part in parts]
        text = b"".join([*encoded, bytes(PADDING)])
        ends = np.cumsum([len(part) for part in encoded], dtype=np.int64)
        starts = self._cut(text, ends)
        ids, id_ends = self._table.ids(self._numbers(text, starts))
        return ids, id_ends[np.searchsorted(starts, ends)]

    def _cut(self, text: bytes, ends: Int64Array) -> Int64Array:
        """The byte at which each word begins, and the one at which the last one ends."""
        size = len(text) - PADDING
        begins = np.zeros(size + 1, dtype=bool)
        if size:
            pairs = np.ndarray((size - 1,), "<u2", text, strides=(1,))  # of bytes side by side
            inner = begins[1:-1]
            for first in range(0, size, BLOCK):
                inner[first : first + BLOCK] = self._borders[pairs[first : first + BLOCK]]
        begins[ends - 1] = False  # alone, a dropped space at the end of a text would be lost
        begins[ends] = begins[0] = True
        return np.flatnonzero(begins)

    def _numbers(self, text: bytes, starts: Int64Array) -> Numbers:
        """The numbers of words in the table, into which those not seen before are put."""
        import pyarrow as pa

        numbers = self._table.short.find(text, starts)
        if (others := np.flatnonzero(numbers < 0)).size:
            buffers = [None, pa.py_buffer(starts), pa.py_buffer(text)]
            words = pa.Array.from_buffers(pa.large_string(), len(starts) - 1, buffers)
            found = words.take(to_arrow(others)).dictionary_encode()
            distinct = self._looked_up(found.dictionary.to_pylist())
            which = to_numpy(found.indices)
            numbers[others] = distinct[which]
            one_of_each = np.empty(distinct.size, np.int64)
            one_of_each[which] = others
            begins, ends = starts[one_of_each], starts[one_of_each + 1]
            self._table.short.add(text, begins, ends, distinct)
        return numbers

    def _looked_up(self, words: list[str]) -> Numbers:
        """The same for words that are all different."""
        known = self._table.numbers
        numbers = np.fromiter(map(known.get, words, repeat(-1)), np.int32, len(words))
        if (unknown := np.flatnonzero(numbers < 0)).size:
            new = [words[index] for index in unknown.tolist()]
            encoded = self._plain([word[self._dropped :] for word in new])
            numbers[unknown] = self._table.add(new, *encoded)
        return numbers


class _Table:
    """Words by their number, and the ids of all of them in a row."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.numbers: dict[str, int] = {}
        self.short = ShortWords()
        self._ids: Tokens = np.empty(0, dtype)
        self._ends: Int64Array = np.zeros(1, np.int64)
        self._counts = np.empty(0, np.int32)
        self._firsts: Tokens = np.empty(0, dtype)
        self._characters = 0

    @property
    def full(self) -> bool:
        return len(self.numbers) > MOST_WORDS or self._characters > MOST_CHARACTERS

    def ids(self, words: Numbers) -> tuple[Tokens, Int64Array]:
        """The ids of words by their numbers, and [words + 1] where those of each begin and end."""
        words = words.astype(np.intp)  # once, not at each use
        counts = self._counts.take(words)
        ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        ids = np.empty(ends[-1] + 1, self._ids.dtype)  # room for the first id of the last word
        ids[ends[:-1]] = self._firsts.take(words)  # where there is none, the next comes over it
        more = np.flatnonzero(counts > 1)
        sizes = counts[more]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        inner = np.repeat(self._ends[words[more]], sizes) + within
        ids[np.repeat(ends[more], sizes) + within] = self._ids[inner]
        return ids[:-1], ends

    def add(self, words: Sequence[str], ids: Tokens, ends: Int64Array) -> range:
        """Append words with their ids; returns the numbers they got."""
        added = range(len(self.numbers), len(self.numbers) + len(words))
        self.numbers.update(zip(words, added, strict=True))
        begins = np.concatenate([[0], ends[:-1]])
        self._ids = np.concatenate([self._ids, ids])
        self._ends = np.concatenate([self._ends, self._ends[-1] + ends])
        self._counts = np.concatenate([self._counts, (ends - begins).astype(np.int32)])
        self._firsts = np.concatenate([self._firsts, np.append(ids, 0).astype(ids.dtype)[begins]])
        self._characters += sum(map(len, words))
        return added
