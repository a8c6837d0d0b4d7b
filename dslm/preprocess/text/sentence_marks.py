"""Where sentences end, decided by a few bytes around each mark, for many texts at once.

The expression of `sentences` takes a microsecond or two for a mark, and most marks are plain: a
full stop within a number ends nothing, one before a space and a capital ends a sentence. Those are
decided here by tables of bytes; the rest is left to the expression. Each rule names the part of the
expression that it does the work of, and tests compare both on all kinds of text.

The path of some texts: their UTF-8 is one array; marks and line ends are found in it, and each is
dropped, decided or left undecided; positions of bytes become positions of characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dslm.arrays import Flags, Int64Array
from dslm.preprocess.text.byte_tables import (
    BEYOND,
    BLANK,
    BULLET,
    CAPITAL,
    CLOSING,
    DIGIT,
    ENDS_NUMBER,
    GOES_ON,
    LEADS,
    LETTER,
    MARK,
    ROMAN,
    SMALL,
    SPACE,
    STOP,
    UNTITLED,
    WORD,
    abbreviation_tables,
    letters,
    table,
)

BETWEEN = b"\0"
"""The byte after every text; a text that holds it itself cannot be dealt with here."""
PADDING = 16
"""More of it after the last text: as far as rules look ahead."""
SPACE_STEPS, CLOSING_STEPS, TRAILING_STEPS, HEADING_STEPS = 16, 3, 3, 6
"""Steps over white space, over closing marks, over white space that ends a line, and for a small
letter in a heading; where they do not suffice, the mark is left undecided."""
PARAGRAPH = 120
"""Characters of a line that is not wrapped."""

EIGHT_SPACES = np.uint64(0x2020202020202020)


class Boundaries(NamedTuple):
    """What was found, as positions among the characters of all texts, each with one after it."""

    marks: Int64Array
    """Where sentences end, ascending: the mark, …"""
    starts: Int64Array
    """… and where the next sentence begins."""
    undecided: Int64Array
    """Marks that are left to the expression, ascending."""
    continuations: Int64Array
    """Bytes that begin no character, ascending."""


class Verdicts(NamedTuple):
    """What a rule says about some marks."""

    ends: Flags
    """Whether a sentence surely ends there."""
    starts: Int64Array
    """The byte at which the next one then begins."""
    undecided: Flags
    """Whether the mark is left to the expression."""


def boundaries(
    encoded: Sequence[bytes], never: frozenset[str], seldom: frozenset[str]
) -> Boundaries:
    """Decide every mark and line end at which a sentence may end.

    Args:
        encoded: texts in UTF-8, without `BETWEEN`.
        never: abbreviations, in small letters, whose period ends no sentence.
        seldom: those whose period may end one.
    """
    joined = BETWEEN.join([*encoded, BETWEEN * PADDING])
    borders = np.cumsum([len(text) + 1 for text in encoded], dtype=np.int64)
    rules = _Rules(joined, borders, never, seldom)
    found = np.flatnonzero(np.frombuffer(joined.translate(LEADS), bool))
    leads = rules.codes[found]
    ends, starts, undecided = np.zeros(found.size, bool), found.copy(), np.zeros(found.size, bool)
    for kind, rule in (
        (leads == ord("\n"), rules.line_ends),
        (MARK[leads], rules.stops),
        (BEYOND[leads] | (leads == ord(";")), rules.chinese_marks),
    ):
        of_kind = np.flatnonzero(kind)
        ends[of_kind], starts[of_kind], undecided[of_kind] = rule(found[of_kind])
    marks, begins, left = map(rules.characters, (found[ends], starts[ends], found[undecided]))
    return Boundaries(marks, begins, left, rules.continuations)


class _Rules:
    """The rules, over the bytes of some texts."""

    def __init__(
        self, joined: bytes, ends: Int64Array, never: frozenset[str], seldom: frozenset[str]
    ) -> None:
        self.codes = np.frombuffer(joined, np.uint8)
        self.eights = np.ndarray((len(joined) - 7,), "<u8", joined, strides=(1,))
        self.continuations = np.flatnonzero((self.codes & 0xC0) == 0x80)
        self.borders = self.characters(ends - 1)
        self.endings, self.words, self.names = abbreviation_tables(never, seldom)

    def characters(self, positions: Int64Array) -> Int64Array:
        """Positions of bytes as positions of characters."""
        if not self.continuations.size:
            return positions
        return positions - np.searchsorted(self.continuations, positions)

    def line_ends(self, found: Int64Array) -> Verdicts:
        """Line ends: before empty lines, items, indents, paragraphs and headings."""
        left = np.flatnonzero(~(SMALL[self.codes[found + 1]] & SMALL[self.codes[found + 2]]))
        at = found[left]
        first = self._behind(at + 1, BLANK)
        char = self.codes[first]
        solid = ~BEYOND[char] & ~BLANK[char] | self._letter(first) | self._quote(first)
        begins, ended, chinese, maybe_chinese = self._text_before(at)
        item, maybe_item = self._item(first)
        empty, heading = char == ord("\n"), self._heading(first)
        likely = empty | (item | self._paragraph(found)[left] | chinese) & solid
        maybe = likely | ~solid | maybe_item | maybe_chinese | heading
        # After an empty line, or within several, a sentence has begun already.
        again = np.append(False, first[:-1] == at[1:])[: at.size]
        ends, starts, rest = np.zeros(found.size, bool), found.copy(), np.zeros(found.size, bool)
        starts[left] = begins
        ends[left] = likely & ended & ~again
        rest[left] = np.where(again, ~empty & heading, maybe & ~(likely & ended))
        return Verdicts(ends, starts, rest)

    def stops(self, found: Int64Array) -> Verdicts:
        """The last of . ? ! and closing marks, if no small letter follows."""
        codes = self.codes
        before, after = codes[found - 1], codes[found + 1]
        end = found + 1
        for _ in range(CLOSING_STEPS):
            end = end + np.where(self._quote(end, b"\x99\x9d"), 3, CLOSING[codes[end]])
        char, gap = codes[end], self._behind(end, SPACE)
        last = ~MARK[after] & ~((after == ord(" ")) & MARK[codes[found + 2]])
        goes_on = GOES_ON[codes[gap]] & (before != ord(" "))
        maybe = last & (BEYOND[char] | CLOSING[char] | SPACE[char] & ~goes_on)
        chinese = (char >= 0xE4) & (char <= 0xE9)
        apart = ~BEYOND[before] & ~MARK[before] | self._letter(found - 3)  # no run of marks
        doubt, never = self._doubt(found, end)
        sure = maybe & (SPACE[char] & self._begins(gap) | chinese) & apart & ~doubt
        # What closes behind the mark may be 」, which only the expression knows.
        return Verdicts(sure, end, maybe & ~sure & ~(never & SPACE[char]))

    def chinese_marks(self, found: Int64Array) -> Verdicts:
        """Chinese marks between letters; other stops, … and ; before Chinese are undecided."""
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
        high, low = lead.astype(np.uint16), (second & 0x3F).astype(np.uint16)
        two, three = (high & 0x1F) << 6 | low, high << 12 | low << 6 | third & 0x3F
        other |= BEYOND[lead] & STOP[np.where(lead < 0xE0, two, three)]
        return Verdicts(sure, found + 3, (wide | other) & ~sure)

    def _quote(self, at: Int64Array, thirds: bytes = bytes(range(0x93, 0x9E))) -> Flags:
        """Whether a character begins there that is one of – — ― ‖ ‗ ‘ ’ ‚ ‛ “ ”."""
        codes = self.codes
        found: Flags = codes[at] == 0xE2
        if found.any():
            found &= (codes[at + 1] == 0x80) & table(thirds)[codes[at + 2]]
        return found

    def _letter(self, at: Int64Array) -> Flags:
        """Whether a character begins there that is one of U+3040 … U+9FFF."""
        lead = self.codes[at]
        found: Flags = (lead >= 0xE4) & (lead <= 0xE9)
        found |= (lead == 0xE3) & (self.codes[at + 1] >= 0x81)
        return found

    def _text_before(self, at: Int64Array) -> tuple[Int64Array, Flags, Flags, Flags]:
        """What comes before line ends.

        Returns:
            The byte after the last one that is no white space; whether that is sure; whether a
            Chinese character or Hiragana ends the line: surely, and perhaps.
        """
        codes = self.codes
        last = at - 1
        for _ in range(TRAILING_STEPS):
            last = last - BLANK[codes[last]]
        byte, second, lead = codes[last], codes[last - 1], codes[last - 2]
        chinese = BEYOND[byte] & (lead >= 0xE4) & (lead <= 0xE9)
        maybe = (lead == 0xE3) & (second >= 0x81) | (lead == 0xEF) & (second >= 0xA4)
        maybe |= codes[last - 3] >= 0xF0
        ended = ~BEYOND[byte] & ~SPACE[byte] | chinese | self._quote(last - 2)
        bare = (last == at - 1) | (last == at - 2) & (codes[at - 1] == ord("\r"))
        return last + 1, ended, chinese & bare, chinese | BEYOND[byte] & maybe

    def _item(self, at: Int64Array) -> tuple[Flags, Flags]:
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

    def _begins(self, at: Int64Array) -> Flags:
        """Whether a character that may begin a sentence is surely there."""
        code = self.codes[at]
        plain: Flags = ~BEYOND[code] & ~GOES_ON[code] & ~SPACE[code] & (code != ord("-"))
        return plain | self._quote(at, b"\x98\x9c") | self._letter(at)

    def _behind(self, at: Int64Array, space: Flags) -> Int64Array:
        """The first byte from there on that is no white space, if it is not too far."""
        at = at.copy()
        left = np.flatnonzero(space[self.codes[at]])
        for _ in range(SPACE_STEPS):
            if not left.size:
                break
            at[left] += np.where(self.eights[at[left]] == EIGHT_SPACES, 8, 1)
            left = left[space[self.codes[at[left]]]]
        return at

    def _paragraph(self, found: Int64Array) -> Flags:
        """Whether the line before or after each line end is one that is not wrapped."""
        at = self.characters(found)
        lines = np.concatenate([at, self.borders])
        order = np.argsort(lines, kind="stable")
        long = np.diff(lines[order], prepend=-1, append=lines.max(initial=0) + 1) > PARAGRAPH
        beside = np.empty(lines.size, bool)
        beside[order] = long[:-1] | long[1:]
        return beside[: at.size]

    def _heading(self, at: Int64Array) -> Flags:
        """Whether a line may be a heading: it has no small letters, but two capitals in a row."""
        small, pair, capital = (np.zeros(at.size, bool) for _ in range(3))
        within = np.ones(at.size, bool)
        for step in range(HEADING_STEPS):
            code = self.codes[at + step]
            within &= code != ord("\n")
            small |= within & UNTITLED[code]
            pair |= capital & CAPITAL[code] & within
            capital = CAPITAL[code]
        return ~small & (within | pair)

    def _doubt(self, found: Int64Array, ends: Int64Array) -> tuple[Flags, Flags]:
        """Whether a mark is a period of an abbreviation or a number: perhaps, and surely."""
        codes = self.codes
        third, second, first = (codes[found - step].astype(np.int64) for step in (3, 2, 1))
        two = LETTER[second] & LETTER[first] & SPACE[third]
        three = LETTER[third] & LETTER[second] & LETTER[first]
        key = letters(np.where(two, 0, third), second, first)
        whole = two | three & SPACE[codes[found - 4]]
        roman = ROMAN[first] & ROMAN[second] & (two | ROMAN[third])
        small = SMALL[third] & SMALL[second] & SMALL[first]
        no = (whole & ~self.words[key] | small & ~self.endings[key]) & ~roman
        bare = (codes[found] == ord(".")) & (ends == found + 1)
        return (
            bare & (WORD[first] | (first == ord(" "))) & ~no,
            bare & whole & self.names[key],
        )
