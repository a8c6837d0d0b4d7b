"""What rules about sentences look up: classes of bytes, 256 flags each, and short abbreviations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeVar

import numpy as np

from dslm.arrays import Flags, Int64Array
from dslm.preprocess.text.scripts import STOPS

Number = TypeVar("Number", int, Int64Array)


def table(characters: bytes) -> Flags:
    """Whether each byte is among some."""
    found = np.zeros(256, dtype=bool)
    found[list(characters)] = True
    return found


SMALL = table(b"abcdefghijklmnopqrstuvwxyz")
CAPITAL = table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LETTER = SMALL | CAPITAL
ROMAN = table(b"ivxlIVXL")
WORD = LETTER | table(b"_0123456789")
BLANK = table(b"\t\v\f\r\x1c\x1d\x1e\x1f ")
SPACE = BLANK | table(b"\n")
MARK = table(b".!?")
CLOSING = table(b"\"')]}*_")
GOES_ON = SMALL | table(b",;:" + b"\0")
BULLET = table(b"-*#>")
DIGIT = table(b"0123456789")
ENDS_NUMBER = table(b".)")
UNTITLED = SMALL | table(bytes([*range(0xC3, 0xE2), *range(0xE3, 0x100)]))
BEYOND = np.arange(256) >= 0x80
LEADS = (MARK | table(b"\n;\xe2\xe3\xef" + bytes(mark.encode()[0] for mark in STOPS))).tobytes()
"""The first bytes of ``. ! ? … 。 ！ ？ ； ｡ ;``, of `STOPS` and of a line end."""
STOP = np.zeros(1 << 16, bool)
"""Whether each code point is among `STOPS`."""
STOP[[ord(mark) for mark in STOPS]] = True


@lru_cache(maxsize=1)
def abbreviation_tables(
    never: frozenset[str], seldom: frozenset[str]
) -> tuple[Flags, Flags, Flags]:
    """By numbers of `letters`: endings of abbreviations, short ones, and those of `never`."""
    words = {word for word in never | seldom if word.isalpha()}
    short = {word for word in words if len(word) <= 3}
    return _flags({word[-3:] for word in words}), _flags(short), _flags(short & never)


def _flags(words: Iterable[str]) -> Flags:
    known = np.zeros(1 << 15, bool)
    known[[letters(*word.rjust(3, "@").encode()) for word in words]] = True
    return known


def letters(third: Number, second: Number, first: Number) -> Number:
    """Three letters of either case as a whole number below 2^15; @ for none."""
    return (third & 31) << 10 | (second & 31) << 5 | first & 31
