"""Where sentences end, told from a few bytes around each mark, for many texts at once.

The expression of `sentences` takes a microsecond or two for a place, and most places are plain: a
full stop within a number ends nothing, one before a space and a capital ends a sentence. Those are
told apart here by tables of bytes. Where these do not suffice, the expression is asked. Each rule
names the part of it that it stands for, and tests compare both on all kinds of text.

The way of some texts: their UTF-8 is one array; marks and line ends are found in it, and each is
dropped, told or left to be asked about; bytes become places among the characters of all texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Number = TypeVar("Number", int, Integers)

BETWEEN = b"\0"
"""What stands behind every text; a text that holds it itself is not for us."""

PADDING = 16
"""More of it behind the last one: as far as rules look ahead."""

DEEP, CLOSED, TRAILED, HEADED = 16, 3, 3, 6
"""Steps over white space, over closing marks, over white space that ends a line, and for a small
letter in a heading; where they do not suffice, the expression is asked."""

PARAGRAPH = 120
"""Characters of a line that is not wrapped."""

EIGHT_SPACES = np.uint64(0x2020202020202020)


def _table(characters: bytes) -> Flags:
    """Whether each byte is among some."""
    found = np.zeros(256, dtype=bool)
    found[list(characters)] = True
    return found


SMALL = _table(b"abcdefghijklmnopqrstuvwxyz")
CAPITAL = _table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
LETTER = SMALL | CAPITAL
ROMAN = _table(b"ivxlIVXL")
WORD = LETTER | _table(b"_0123456789")
BLANK = _table(b"\t\v\f\r\x1c\x1d\x1e\x1f ")
SPACE = BLANK | _table(b"\n")
MARK = _table(b".!?")
CLOSING = _table(b"\"')]}*_")
GOES_ON = SMALL | _table(b",;:" + BETWEEN)
BULLET = _table(b"-*#>")
DIGIT = _table(b"0123456789")
ENDS_NUMBER = _table(b".)")
UNTITLED = SMALL | _table(bytes([*range(0xC3, 0xE2), *range(0xE3, 0x100)]))
BEYOND = np.arange(256) >= 0x80
LEADS = (MARK | _table(b"\n;\xe2\xe3\xef")).tobytes()
"""The first bytes of ``. ! ? … 。 ！ ？ ； ｡ ;`` and of a line end."""


class Told(NamedTuple):
    """What was found, as places among the characters of all texts, each with one behind it."""

    marks: Integers
    """Where sentences end, rising: the mark, …"""
    starts: Integers
    """… and where the next one begins."""
    asked: Integers
    """Marks about which the expression must be asked, rising."""
    inner: Integers
    """Bytes that begin no character, rising."""


class Judged(NamedTuple):
    """Some marks of one kind."""

    sure: Flags
    """Whether a sentence ends there."""
    starts: Integers
    """The byte at which the next one then begins."""
    asked: Flags
    """Whether the expression must be asked."""


def marks(encoded: Sequence[bytes], never: frozenset[str], seldom: frozenset[str]) -> Told:
    """Judge every place at which a sentence may end.

    Args:
        encoded: texts in UTF-8, without `BETWEEN`.
        never: abbreviations, in small letters, whose period ends no sentence.
        seldom: those whose period may end one.
    """
    joined = BETWEEN.join([*encoded, BETWEEN * PADDING])
    ends = np.cumsum([len(text) + 1 for text in encoded], dtype=np.int64)
    judge = _Judge(joined, ends, never, seldom)
    found = np.flatnonzero(np.frombuffer(joined.translate(LEADS), bool))
    leads = judge.codes[found]
    starts, sure, asked = found.copy(), np.zeros(found.size, bool), np.zeros(found.size, bool)
    for kind, rule in (
        (leads == ord("\n"), judge.line_ends),
        (MARK[leads], judge.stops),
        (BEYOND[leads] | (leads == ord(";")), judge.chinese_marks),
    ):
        of_kind = np.flatnonzero(kind)
        sure[of_kind], starts[of_kind], asked[of_kind] = rule(found[of_kind])
    ends, begins, left = map(judge.characters, (found[sure], starts[sure], found[asked]))
    return Told(ends, begins, left, judge.inner)


class _Judge:
    """The rules, over the bytes of some texts."""

    def __init__(
        self, joined: bytes, ends: Integers, never: frozenset[str], seldom: frozenset[str]
    ) -> None:
        self.codes = np.frombuffer(joined, np.uint8)
        self.eights = np.ndarray((len(joined) - 7,), "<u8", joined, strides=(1,))
        self.inner = np.flatnonzero((self.codes & 0xC0) == 0x80)
        self.borders = self.characters(ends - 1)
        self.endings, self.words, self.names = _listed(never, seldom)

    def characters(self, places: Integers) -> Integers:
        """Places among the bytes as places among the characters."""
        return places - np.searchsorted(self.inner, places) if self.inner.size else places

    def line_ends(self, found: Integers) -> Judged:
        """Line ends: before empty lines, items, indents, paragraphs and headings."""
        left = np.flatnonzero(~(SMALL[self.codes[found + 1]] & SMALL[self.codes[found + 2]]))
        at = found[left]
        first = self._behind(at + 1, BLANK)
        char = self.codes[first]
        solid = ~BEYOND[char] & ~BLANK[char] | self._letter(first) | self._quote(first)
        begins, ended, chinese, maybe_chinese = self._text_before(at)
        item, maybe_item = self._item(first)
        empty, heading = char == ord("\n"), self._heading(first)
        told = empty | (item | self._paragraph(found)[left] | chinese) & solid
        maybe = told | ~solid | maybe_item | maybe_chinese | heading
        # Behind an empty line, or within several, a sentence has begun already.
        again = np.append(False, first[:-1] == at[1:])[: at.size]
        starts, sure, asked = found.copy(), np.zeros(found.size, bool), np.zeros(found.size, bool)
        starts[left] = begins
        sure[left] = told & ended & ~again
        asked[left] = np.where(again, ~empty & heading, maybe & ~(told & ended))
        return Judged(sure, starts, asked)

    def stops(self, found: Integers) -> Judged:
        """The last of . ? ! and closing marks, if no small letter follows."""
        codes = self.codes
        before, after = codes[found - 1], codes[found + 1]
        end = found + 1
        for _ in range(CLOSED):
            end = end + np.where(self._quote(end, b"\x99\x9d"), 3, CLOSING[codes[end]])
        char, gap = codes[end], self._behind(end, SPACE)
        last = ~MARK[after] & ~((after == ord(" ")) & MARK[codes[found + 2]])
        goes_on = GOES_ON[codes[gap]] & (before != ord(" "))
        maybe = last & (BEYOND[char] | CLOSING[char] | SPACE[char] & ~goes_on)
        chinese = (char >= 0xE4) & (char <= 0xE9)
        apart = ~BEYOND[before] & ~MARK[before] | self._letter(found - 3)  # no run of marks
        doubt, never = self._doubt(found, end)
        sure = maybe & (SPACE[char] & self._begins(gap) | chinese) & apart & ~doubt
        return Judged(sure, end, maybe & ~sure & ~(never & SPACE[char]))  # 」 may close it

    def chinese_marks(self, found: Integers) -> Judged:
        """Chinese marks between letters; others, … and a semicolon before Chinese are asked."""
        codes = self.codes
        lead, second, third = (codes[found + step] for step in range(3))
        wide = (lead == 0xE3) & (second == 0x80) & (third == 0x82)  # 。
        wide |= (lead == 0xEF) & (second == 0xBC) & np.isin(third, [0x81, 0x9B, 0x9F])  # ！；？
        wide |= (lead == 0xEF) & (second == 0xBD) & (third == 0xA1)  # ｡
        after = codes[found + 3]
        sure = wide & (WORD[codes[found - 1]] | self._letter(found - 3))
        sure &= WORD[after] | SPACE[after] | (after == 0) | self._letter(found + 3)
        other = (lead == 0xE2) & (second == 0x80) & (third == 0xA6)  # …
        other |= (lead == ord(";")) & (second >= 0xE3)
        return Judged(sure, found + 3, (wide | other) & ~sure)

    def _quote(self, at: Integers, thirds: bytes = bytes(range(0x93, 0x9E))) -> Flags:
        """Whether a character begins there that is one of – — ― ‖ ‗ ‘ ’ ‚ ‛ “ ”."""
        codes = self.codes
        found: Flags = codes[at] == 0xE2
        if found.any():
            found &= (codes[at + 1] == 0x80) & _table(thirds)[codes[at + 2]]
        return found

    def _letter(self, at: Integers) -> Flags:
        """Whether a character begins there that is one of U+3040 … U+9FFF."""
        lead = self.codes[at]
        found: Flags = (lead >= 0xE4) & (lead <= 0xE9)
        found |= (lead == 0xE3) & (self.codes[at + 1] >= 0x81)
        return found

    def _text_before(self, at: Integers) -> tuple[Integers, Flags, Flags, Flags]:
        """What stands before line ends.

        Returns:
            The byte behind the last one that is no white space; whether that is sure; whether a
            Chinese character or Hiragana ends the line: surely, and perhaps.
        """
        codes = self.codes
        last = at - 1
        for _ in range(TRAILED):
            last = last - BLANK[codes[last]]
        byte, second, lead = codes[last], codes[last - 1], codes[last - 2]
        chinese = BEYOND[byte] & (lead >= 0xE4) & (lead <= 0xE9)
        maybe = (lead == 0xE3) & (second >= 0x81) | (lead == 0xEF) & (second >= 0xA4)
        maybe |= codes[last - 3] >= 0xF0
        ended = ~BEYOND[byte] & ~SPACE[byte] | chinese | self._quote(last - 2)
        bare = (last == at - 1) | (last == at - 2) & (codes[at - 1] == ord("\r"))
        return last + 1, ended, chinese & bare, chinese | BEYOND[byte] & maybe

    def _item(self, at: Integers) -> tuple[Flags, Flags]:
        """Whether a line that begins there is an item of a list: surely, and perhaps."""
        codes = self.codes
        char, second = codes[at], codes[at + 1]
        sure = BULLET[char] & BLANK[second]
        inside = at + (char == ord("("))
        char, second = codes[inside], codes[inside + 1]
        letter = SMALL[char] & (second == ord(")"))
        ends = ENDS_NUMBER[second] | ENDS_NUMBER[codes[inside + 2]] | ENDS_NUMBER[codes[inside + 3]]
        maybe = BULLET[char] & BEYOND[second] | letter | DIGIT[char] & ends
        return sure, sure | maybe

    def _begins(self, at: Integers) -> Flags:
        """Whether a character that may begin a sentence surely stands there."""
        code = self.codes[at]
        plain: Flags = ~BEYOND[code] & ~GOES_ON[code] & ~SPACE[code] & (code != ord("-"))
        return plain | self._quote(at, b"\x98\x9c") | self._letter(at)

    def _behind(self, at: Integers, space: Flags) -> Integers:
        """The first byte from there on that is no white space, if it is not too far."""
        at = at.copy()
        left = np.flatnonzero(space[self.codes[at]])
        for _ in range(DEEP):
            if not left.size:
                break
            at[left] += np.where(self.eights[at[left]] == EIGHT_SPACES, 8, 1)
            left = left[space[self.codes[at[left]]]]
        return at

    def _paragraph(self, found: Integers) -> Flags:
        """Whether the line before or behind each line end is one that is not wrapped."""
        at = self.characters(found)
        lines = np.concatenate([at, self.borders])
        order = np.argsort(lines, kind="stable")
        long = np.diff(lines[order], prepend=-1, append=lines.max(initial=0) + 1) > PARAGRAPH
        beside = np.empty(lines.size, bool)
        beside[order] = long[:-1] | long[1:]
        return beside[: at.size]

    def _heading(self, at: Integers) -> Flags:
        """Whether a line may be a heading: it has no small letters, but two capitals in a row."""
        small, pair, capital = (np.zeros(at.size, bool) for _ in range(3))
        within = np.ones(at.size, bool)
        for step in range(HEADED):
            code = self.codes[at + step]
            within &= code != ord("\n")
            small |= within & UNTITLED[code]
            pair |= capital & CAPITAL[code] & within
            capital = CAPITAL[code]
        return ~small & (within | pair)

    def _doubt(self, found: Integers, ends: Integers) -> tuple[Flags, Flags]:
        """Whether a mark is a period of an abbreviation or a number: perhaps, and surely."""
        codes = self.codes
        third, second, first = (codes[found - step].astype(np.int64) for step in (3, 2, 1))
        two = LETTER[second] & LETTER[first] & SPACE[third]
        three = LETTER[third] & LETTER[second] & LETTER[first]
        key = _letters(np.where(two, 0, third), second, first)
        whole = two | three & SPACE[codes[found - 4]]
        roman = ROMAN[first] & ROMAN[second] & (two | ROMAN[third])
        small = SMALL[third] & SMALL[second] & SMALL[first]
        no = (whole & ~self.words[key] | small & ~self.endings[key]) & ~roman
        bare = (codes[found] == ord(".")) & (ends == found + 1)
        return (
            bare & (WORD[first] | (first == ord(" "))) & ~no,
            bare & whole & self.names[key],
        )


@lru_cache(maxsize=1)
def _listed(never: frozenset[str], seldom: frozenset[str]) -> tuple[Flags, Flags, Flags]:
    """By numbers of `_letters`: endings of abbreviations, short ones, and those of `never`."""
    words = {word for word in never | seldom if word.isalpha()}
    short = {word for word in words if len(word) <= 3}
    return _known({word[-3:] for word in words}), _known(short), _known(short & never)


def _known(words: Iterable[str]) -> Flags:
    known = np.zeros(1 << 15, bool)
    known[[_letters(*word.rjust(3, "@").encode()) for word in words]] = True
    return known


def _letters(third: Number, second: Number, first: Number) -> Number:
    """Three letters of either case as a whole number below 2^15; @ stands for none."""
    return (third & 31) << 10 | (second & 31) << 5 | first & 31
