"""Words that were encoded before need not be encoded again.

Text repeats its words, and cutting a word into pieces costs far more than finding it in a table.
The way of some texts: their bytes are cut into words; Arrow numbers the distinct ones; those never
seen are encoded together by the plain encoder and remembered; one gather puts the ids of all words
in a row.

This is exact where no token runs across a border between words and what stands on one side of it
changes nothing on the other. Whoever makes a cache knows the borders of its tokenizer; they are
checked all the same on texts made to be hard, and where one id differs there is no cache. That is
decided by the tokenizer alone: had the texts at hand a say, the ids of a text could depend on which
process met which texts first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.data.tokenizers.probes import PROBES, neighbours

MOST_WORDS = 1 << 18
MOST_CHARACTERS = 1 << 24
"""Distinct words, and characters of them, after which the cache starts over."""

VISIBLE = range(0x21, 0x7F)
"""The bytes of ASCII that are neither white space nor control characters."""

Encode = Callable[[Sequence[str]], tuple[npt.NDArray[Any], npt.NDArray[np.int64]]]
"""From short texts to all their ids, and where those of each end."""


def cached(
    plain: Encode,
    dtype: np.dtype[Any],
    borders: npt.NDArray[np.bool_],
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
    same = all(map(np.array_equal, cache(texts), plain(texts)))
    return cache if same else None


def apart(pieces: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which bytes of UTF-8 stand side by side in no piece, bool [256, 256]."""
    codes = np.frombuffer(b"\xff".join(piece.encode() for piece in pieces), dtype=np.uint8)
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
        borders: npt.NDArray[np.bool_],
        dropped: int,
    ) -> None:
        self._plain, self._dtype, self._dropped = plain, dtype, dropped
        self._borders = borders.ravel()
        self._table = _Table(dtype)

    def __call__(self, parts: Sequence[str]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
        """The ids of short texts and where those of each end."""
        import pyarrow as pa

        if self._table.full:
            self._table = _Table(self._dtype)
        words, counts = self._cut(parts)
        numbered = words.dictionary_encode()
        distinct = numbered.dictionary.to_numpy(zero_copy_only=False).tolist()
        numbers = self._numbers(distinct)[np.asarray(numbered.indices)]
        found = self._table.lists().take(pa.array(numbers))
        return np.asarray(found.values), np.asarray(found.offsets)[counts]

    def _numbers(self, words: list[str]) -> npt.NDArray[np.int64]:
        """The places of words in the table, into which those not seen before are put."""
        known = self._table.numbers
        numbers = np.fromiter((known.get(word, -1) for word in words), np.int64, len(words))
        if (places := np.flatnonzero(numbers < 0)).size:
            new = [words[place] for place in places]
            encoded = self._plain([word[self._dropped :] for word in new])
            numbers[places] = self._table.add(new, *encoded)
        return numbers

    def _cut(self, parts: Sequence[str]) -> tuple[Any, npt.NDArray[np.int64]]:
        """The words of all parts, and how many of them there are up to the end of each part."""
        import pyarrow as pa

        encoded = [b" " * self._dropped + part.encode() for part in parts]
        data = b"".join(encoded)
        ends = np.cumsum([len(part) for part in encoded], dtype=np.int64)
        codes = np.frombuffer(data, dtype=np.uint8)
        begins = np.zeros(len(codes) + 1, dtype=bool)
        begins[1:-1] = self._borders[codes[:-1].astype(np.uint16) << 8 | codes[1:]]
        begins[ends - 1] = False  # alone, a dropped space at the end of a text would be lost
        begins[np.concatenate([[0], ends])] = True
        starts = np.flatnonzero(begins)
        buffers = [None, pa.py_buffer(starts), pa.py_buffer(data)]
        words = pa.Array.from_buffers(pa.large_string(), len(starts) - 1, buffers)
        return words, np.searchsorted(starts, ends)


class _Table:
    """Words by their number, and the ids of all of them in a row."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.numbers: dict[str, int] = {}
        self._ids: npt.NDArray[Any] = np.empty(0, dtype)
        self._ends: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._characters = 0

    @property
    def full(self) -> bool:
        return len(self.numbers) > MOST_WORDS or self._characters > MOST_CHARACTERS

    def lists(self) -> Any:
        """The ids of each word, as Arrow sees them where they lie."""
        import pyarrow as pa

        return pa.LargeListArray.from_arrays(pa.array(self._ends), pa.array(self._ids))

    def add(
        self, words: Sequence[str], ids: npt.NDArray[Any], ends: npt.NDArray[np.int64]
    ) -> range:
        """Append words with their ids; returns the numbers they got."""
        added = range(len(self.numbers), len(self.numbers) + len(words))
        self.numbers.update(zip(words, added, strict=True))
        self._ids = np.concatenate([self._ids, ids])
        self._ends = np.concatenate([self._ends, self._ends[-1] + ends])
        self._characters += sum(map(len, words))
        return added
