"""The words of many texts as numbers, and hashes of their runs (n-grams), by whole arrays.

    texts  ->  plain characters  ->  words, each a 64-bit hash  ->  runs of n words, each a hash

A word is what stands between white space, in lower case and without its punctuation, so that
``Don't`` and ``dont`` are one. In scripts that put no space between words (Chinese, Japanese, Thai,
Lao, Burmese, Khmer, Tibetan) each character is a word. Characters beyond the basic plane, emoji
foremost, are passed over like punctuation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.intp]

_MODULUS = 1 << 64
_MULTIPLIER = 0x9E3779B97F4A7C15  # odd, so that it has an inverse
_GROUP = 1 << 15
"""Characters that are looked at together: few enough for their arrays to stay in the processor's
cache, and for memory not to depend on the size of a text."""

_PLANE = 0x10000
_SPACE, _PASSED_OVER = 0, _PLANE - 1
"""Plain characters that are none; all others are lower-case letters, marks and digits."""
_WITHOUT_SPACES = (
    # first and last code point of each block whose characters are words
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Chinese characters, extension A
    (0x4E00, 0x9FFF),  # Chinese characters
    (0xF900, 0xFAFF),  # Chinese characters, compatible forms
)


@dataclass(frozen=True)
class Words:
    """The words of some texts, one after the other."""

    hashes: Hashes
    """[W]: a hash of each word."""
    texts: npt.NDArray[np.int32]
    """[W]: the number of the text that each word belongs to; never falls."""

    def __getitem__(self, part: slice) -> Words:
        return Words(self.hashes[part], self.texts[part])


def words(texts: Sequence[str]) -> Words:
    """Split texts into words."""
    hashes = np.empty(sum(map(len, texts)), np.uint64)  # memory unused stays untouched
    counts = np.zeros(len(texts), np.int64)
    total = 0
    for group in _groups(texts):
        found, ends = _hashes_of([piece for _, piece in group])
        hashes[total : total + len(found)] = found
        total += len(found)
        np.add.at(counts, [number for number, _ in group], np.diff(ends, prepend=0))
    numbers = np.arange(len(texts), dtype=np.int32)
    return Words(hashes[:total], np.repeat(numbers, counts))


def fits(words: Words, starts: Indices, length: int) -> npt.NDArray[np.bool_]:
    """Whether the text goes on for so many words from each of some words on."""
    ends = np.minimum(starts + (length - 1), len(words.texts) - 1)
    inside: npt.NDArray[np.bool_] = words.texts[starts] == words.texts[ends]
    inside &= ends - starts == length - 1
    return inside


def hashes(words: Words, starts: Indices, length: int) -> Hashes:
    """The hash of so many words from each of some words on, which must fit."""
    values = words.hashes[starts + np.arange(length)[:, None]]  # [length, starts]
    found: Hashes = _polynomials(values, length)[0]
    return found


def all_hashes(words: Words, length: int) -> Hashes:
    """The same from each word on for which there are so many, be it across the end of a text."""
    return _polynomials(words.hashes, length) if len(words.hashes) >= length else words.hashes[:0]


def _polynomials(values: Hashes, length: int) -> Hashes:
    """For each run of values v: the sum of v[k] * multiplier**(length - 1 - k), modulo 2**64.

    A run is put together from its halves, so that 13 values take 5 multiplications and not 12.
    """
    if length == 1:
        return values
    half = length // 2
    halves = _polynomials(values, half)
    sums = halves[:-half] * np.uint64(pow(_MULTIPLIER, half, _MODULUS)) + halves[half:]
    if length % 2:
        sums = sums[:-1] * np.uint64(_MULTIPLIER) + values[length - 1 :]
    return sums


def _groups(texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """Pieces of texts that are looked at together, each with the number of its text."""
    group: list[tuple[int, str]] = []
    size = 0
    for number, text in enumerate(texts):
        for piece in _pieces(text):
            if size + len(piece) >= _GROUP:
                yield group
                group, size = [], 0
            group.append((number, piece))
            size += len(piece) + 1
    yield group


def _pieces(text: str) -> Iterator[str]:
    """A text, if it is long cut at spaces; a word as long as a group may be cut itself."""
    start = 0
    while len(text) - start >= _GROUP:
        end = start + _GROUP - 1
        space = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
        end = space + 1 if space >= 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def _hashes_of(pieces: Sequence[str]) -> tuple[Hashes, Indices]:
    """The hash of each word, and after how many words each piece ends.

    The hash is a polynomial of the word's characters. Running sums over all of them give it for
    each word by one subtraction (Karp and Rabin 1987).
    """
    tables = _tables()
    codes = np.zeros(_GROUP, np.uint16)
    ends = [0]
    for piece in pieces:
        plain = _plain(piece, tables)
        codes[ends[-1] : ends[-1] + len(plain)] = plain
        ends.append(ends[-1] + len(plain) + 1)  # a space between
    codes = codes[: ends[-1]]
    in_words = codes != _SPACE
    in_long_words = in_words & ~tables.alone[codes]
    in_words[1:] &= ~(in_long_words[1:] & in_long_words[:-1])
    starts = np.flatnonzero(in_words)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(tables.values[codes] * tables.powers[: len(codes)], out=sums[1:])
    sums_of_words = np.diff(sums[np.append(starts, len(codes))])
    return _mixed(sums_of_words * tables.inverses[starts]), np.searchsorted(starts, ends[1:])


@dataclass(frozen=True)
class _Tables:
    plain: npt.NDArray[np.uint16]
    """For each character the plain one."""
    plain_ascii: bytes
    """The same for ASCII."""
    passed_over_ascii: bytes
    """The ASCII characters that are left out."""
    alone: npt.NDArray[np.bool_]
    """Whether each plain character is a word by itself."""
    values: Hashes
    """A random number for each plain character, zero for the space."""
    powers: Hashes
    """The multiplier to the power of each place in a group."""
    inverses: Hashes
    """What undoes them."""


@lru_cache(maxsize=1)
def _tables() -> _Tables:
    plain = np.array([_plain_code(chr(code)) for code in range(_PLANE)], np.uint16)
    alone = np.zeros(_PLANE, bool)
    for first, last in _WITHOUT_SPACES:
        alone[first : last + 1] = True
    values = _mixed(np.arange(_PLANE, dtype=np.uint64) * np.uint64(_MULTIPLIER))
    return _Tables(
        plain=plain,
        plain_ascii=(plain[:256] & 0xFF).astype(np.uint8).tobytes(),
        passed_over_ascii=bytes(np.flatnonzero(plain[:128] == _PASSED_OVER).tolist()),
        alone=alone,
        values=values,
        powers=np.full(_GROUP, _MULTIPLIER, np.uint64).cumprod(),
        inverses=np.full(_GROUP, pow(_MULTIPLIER, -1, _MODULUS), np.uint64).cumprod(),
    )


def _plain_code(character: str) -> int:
    if character.isspace():
        return _SPACE
    wanted = unicodedata.category(character)[0] in "LMN"
    return ord(character.lower()[0]) if wanted else _PASSED_OVER


def _plain(piece: str, tables: _Tables) -> npt.NDArray[Any]:
    """The plain characters of a text; several times faster where it is ASCII."""
    if piece.isascii():
        content = piece.encode().translate(tables.plain_ascii, tables.passed_over_ascii)
        return np.frombuffer(content, np.uint8)
    codes = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
    plain = tables.plain[np.minimum(codes, _PLANE - 1)]
    kept: npt.NDArray[np.uint16] = plain[plain != _PASSED_OVER]
    return kept


def _mixed(values: Hashes) -> Hashes:
    """The finalizer of SplitMix64 (Steele et al. 2014): a bijection that keeps zero."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
