"""Leave out documents that do not read like prose: the rules of Gopher, C4 and FineWeb.

- Gopher: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
  Gopher" (arXiv 2112.11446), section A.1.1.
- C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
  Transformer" (arXiv 1910.10683), section 2.2. Its rules about lines are in `lines`.
- FineWeb: Penedo et al. 2024, "The FineWeb Datasets" (arXiv 2406.17557), section 3.6. Its rule
  about repeated lines is in `repetition`.

What is on by default is what FineWeb used. Rules about English words apply to English alone, and
where no language was looked for, it is looked for in what they would leave out. In scripts without
spaces a character counts as a word (in Thai and the like, four do), and lines are not called short;
Thai and Lao, which have no full stop, need not end lines in one. Rules about the lines of a text
are not asked of one line. Lines without a visible character are no lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Flags, Int64Array, UInt64Array
from dslm.config.parse import STRICT
from dslm.preprocess.clean.language import is_english
from dslm.preprocess.clean.word_filter import WordFilter
from dslm.preprocess.document import Document
from dslm.preprocess.text.scripts import ELLIPSES, QUOTES, STOPLESS_END
from dslm.preprocess.text.words import (
    CLOSES,
    DIGIT,
    ENDS,
    LETTER,
    Codes,
    Words,
    split,
)

_DOTS = re.compile(r"\.{3,}")
_ROUND = re.compile(
    r"""(?<![\w$\\)}])\{(?! |[A-Za-z_][\w-]*\})[^\n{}()[\]<>=:;"'$&|+*/\\#]+(?<! )\}(?!\})"""
)
"""A pair of curly brackets that are used like round ones: ``217-A-{3}``, but not ``{name}``."""
_WITHIN_A_WORD = re.compile(r"\w\{(?=\w)")

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's."""
BULLETS = "•‣▶◀◦■□▪▫●○*-·∙⁃・►▸➢➤◆◇๏"
SHORT_LINE = 30
"""Characters up to which FineWeb calls a line short."""
SHORT_LINE_WORDS = 5
"""Words of such a line in English: more are no short line in Korean or Amharic."""
WORD = 5
"""Characters of an English word: as many are one in languages that put more into a word."""
DENSE = 2
"""Characters that one of Chinese or Japanese saves, which have less than two to a word."""
CLOSING_STEPS = 4
"""Most brackets, quotes and spaces between the end of a sentence and that of its line."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class QualityConfig:
    """What a document must be like; null switches a rule off."""

    on: bool = False
    """Whether documents that do not read like prose are left out."""
    minimum_words: Count | None = 50
    """Fewest words (Gopher); in other languages than English 5 characters count as one."""
    maximum_words: Count | None = 100_000
    """Most words (Gopher)."""
    minimum_mean_length: Positive | None = 3.0
    """Smallest mean length of a word in characters, in English (Gopher)."""
    maximum_mean_length: Positive | None = 10.0
    """Largest mean length of a word in characters, in English (Gopher)."""
    symbols: Positive | None = 0.1
    """Most hash signs, and most ellipses, for each word (Gopher)."""
    bullet_lines: Fraction | None = 0.9
    """Largest share of lines that begin with a bullet (Gopher)."""
    ellipsis_lines: Fraction | None = 0.3
    """Largest share of lines that end with an ellipsis (Gopher)."""
    alphabetic_words: Fraction | None = 0.8
    """Smallest share of words with a letter (Gopher)."""
    stop_words: Count | None = 2
    """Fewest different words among the, be, to, of, and, that, have, with, in English (Gopher)."""
    sentences: Count | None = 5
    """Fewest sentences, in English; the end of a line ends one too (C4)."""
    curly_brackets: bool = False
    """Whether a text may hold a curly bracket, as programs do (C4)."""
    lorem_ipsum: bool = False
    """Whether a text may hold the printers' filler `lorem ipsum` (C4)."""
    punctuated_lines: Fraction | None = 0.12
    """A document with this share of lines that end in punctuation, or a smaller one, is left out
    (FineWeb)."""
    short_lines: Fraction | None = 0.67
    """A document with this share of lines of at most 30 characters, or a larger one, is left out
    (FineWeb)."""
    digits: Fraction | None = 0.15
    """Largest share of digits among the characters (NeMo Curator's filter of numbers)."""


class Quality(WordFilter):
    """The step that leaves out documents that are no prose."""

    presets = ("web",)

    def __init__(self, settings: QualityConfig) -> None:
        super().__init__(settings)
        self._stop_words = _hashes(STOP_WORDS)
        self._fillers = _hashes(("ipsum", "Ipsum", "IPSUM"))

    def reasons_by_words(self, words: Words) -> list[str | None]:
        """For each document ``few words``, ``short lines`` and so on, or `None`."""
        reasons: list[str | None] = [None] * len(words.documents)
        for reason, faulty in self._faults(words):
            for number in np.flatnonzero(faulty):
                reasons[number] = reasons[number] or reason
        return reasons

    def _faults(self, words: Words) -> Iterator[tuple[str, Flags]]:
        """Every reason with the documents that it holds for; [N]."""
        yield from self._about_words(words)
        yield from self._about_english(words)
        yield from self._about_symbols(words)
        yield from self._about_lines(words)

    def _about_words(self, words: Words) -> Iterator[tuple[str, Flags]]:
        limits = self._settings
        if limits.minimum_words is not None:
            few = words.number < limits.minimum_words
            short = words.characters < WORD * limits.minimum_words
            yield "few words", few & (short | _english(words, few & ~short))
        if limits.maximum_words is not None:
            yield "many words", words.number > limits.maximum_words
        if limits.alphabetic_words is not None:
            alphabetic = words.total(_alphabetic(words))
            fewest = limits.alphabetic_words * np.diff(words.bounds)
            yield "words without letters", alphabetic < fewest
        if limits.digits is not None:
            digits = words.occurrences(words.kinds & DIGIT > 0)
            yield "digits", digits > limits.digits * (words.characters + DENSE * words.syllables)

    def _about_english(self, words: Words) -> Iterator[tuple[str, Flags]]:
        faults = list(self._faults_in_english(words))
        none = np.zeros(len(words.documents), np.bool_)
        english = _english(words, np.logical_or.reduce([none, *dict(faults).values()]))
        yield from ((reason, faulty & english) for reason, faulty in faults)

    def _faults_in_english(self, words: Words) -> Iterator[tuple[str, Flags]]:
        limits, number = self._settings, np.diff(words.bounds)
        if limits.minimum_mean_length is not None:
            yield "short words", words.characters < limits.minimum_mean_length * number
        if limits.maximum_mean_length is not None:
            yield "long words", words.characters > limits.maximum_mean_length * number
        if limits.stop_words is not None:
            yield "few stop words", self._different_stop_words(words) < limits.stop_words
        if limits.sentences is not None:
            ends = _stops(words)
            ends[words.line_ends] = True
            yield "few sentences", words.total(ends) < limits.sentences

    def _different_stop_words(self, words: Words) -> Int64Array:
        """How many of the stop words each document holds; [N]."""
        table = np.zeros(2**16, np.int8)  # 16 bits rule out most words
        table[_low(self._stop_words)] = np.arange(1, len(STOP_WORDS) + 1)
        which = table[_low(words.each)]
        positions = np.flatnonzero(which)
        which = which[positions] - 1
        positions, which = (
            array[words.each[positions] == self._stop_words[which]] for array in (positions, which)
        )
        shape = len(words.documents), len(STOP_WORDS)
        found = np.zeros(shape, np.bool_)
        found[words.document[positions], which] = True
        different: Int64Array = found.sum(axis=1)
        return different

    def _about_symbols(self, words: Words) -> Iterator[tuple[str, Flags]]:
        limits, texts = self._settings, words.texts
        if limits.symbols is not None:
            symbols = np.array([max(text.count("#"), _ellipses(text)) for text in texts], np.int64)
            yield "symbols", symbols > limits.symbols * words.number
        if not limits.curly_brackets:
            programs = ["{" in text and _is_program(text) for text in texts]
            yield "curly bracket", np.array(programs, np.bool_)
        if not limits.lorem_ipsum:
            yield "lorem ipsum", self._filler(words)

    def _filler(self, words: Words) -> Flags:
        """Whether each document holds ``lorem ipsum``, looked for where its second word is; [N]."""
        faulty = np.zeros(len(words.documents), np.bool_)
        second = np.flatnonzero(np.isin(words.each, self._fillers))
        for number in set(words.document[second].tolist()):
            faulty[number] = "lorem ipsum" in words.documents[number].text.lower()
        return faulty

    def _about_lines(self, words: Words) -> Iterator[tuple[str, Flags]]:
        limits, document = self._settings, words.document[words.line_starts]
        first, end = words.starts[words.line_starts], words.ends[words.line_ends]
        number = words.tally(document)
        several, punctuated = number > 1, _punctuated(words, end)
        if limits.punctuated_lines is not None:
            few = words.tally(document[punctuated]) <= limits.punctuated_lines * number
            stopless = 2 * words.unspaced_below(STOPLESS_END) > np.diff(words.bounds)
            yield "unpunctuated lines", several & ~stopless & few
        if limits.short_lines is not None:
            short = end - first <= SHORT_LINE
            few = short & (words.line_ends - words.line_starts < SHORT_LINE_WORDS)
            many, sure = (
                words.tally(document[lines]) >= limits.short_lines * number
                for lines in (short, few)
            )
            yield "short lines", several & ~words.unspaced & many & (sure | _english(words, many))
        if limits.bullet_lines is not None:
            bullets = _among(words.codes[first], BULLETS)
            spoken = punctuated & (words.codes[first] == ord("-"))
            many, sure = (
                words.tally(document[lines]) > limits.bullet_lines * number
                for lines in (bullets, bullets & ~spoken)
            )
            yield "bullets", several & many & (sure | _english(words, many))
        if limits.ellipsis_lines is not None:
            open_ends = words.tally(document[_trails_off(words.codes, end)])
            yield "ellipses", several & (open_ends > limits.ellipsis_lines * number)


def _hashes(words: Sequence[str]) -> UInt64Array:
    return split([Document(word) for word in words]).each


def _english(words: Words, asked: Flags) -> Flags:
    """Which of the documents that are asked about are surely in English; [N]."""
    pairs = zip(asked, words.documents, strict=True)
    return np.array([one and is_english(document) for one, document in pairs], np.bool_)


def _alphabetic(words: Words) -> Flags:
    """Whether a word holds a letter; [W]."""
    found: Flags = words.first_kinds & LETTER > 0
    others = np.flatnonzero(~found)  # few: most words begin with a letter
    if len(others):
        lengths = words.ends[others] - words.starts[others]
        begins = np.cumsum(lengths) - lengths
        positions = np.arange(lengths.sum()) + np.repeat(words.starts[others] - begins, lengths)
        found[others] = np.maximum.reduceat(words.kinds[positions] & LETTER, begins) > 0
    return found


def _stops(words: Words) -> Flags:
    """Whether a sentence ends with each word: at its last sign, or before a closing one; [W]."""
    last, before = words.kinds[words.ends - 1], words.kinds[words.ends - 2]
    found: Flags = (last & ENDS > 0) | (last & CLOSES > 0) & (before & ENDS > 0)
    return found


def _punctuated(words: Words, ends: Int64Array) -> Flags:
    """Whether a sentence ends before each end, or a quotation; brackets may close behind it."""
    quoted = _among(words.codes[ends - 1], QUOTES)
    last = ends - 1
    for _ in range(CLOSING_STEPS):
        last = last - ((words.kinds[last] & CLOSES > 0) | (words.codes[last] == ord(" ")))
    found: Flags = quoted | (words.kinds[last] & ENDS > 0)
    return found


def _low(hashes: UInt64Array) -> UInt64Array:
    return hashes & np.uint64(0xFFFF)


def _is_program(text: str) -> bool:
    """Whether curly brackets are used as in programs, not like round ones or within a word."""
    rest = _ROUND.sub("", text)
    return "{" in (rest if "}" in rest else _WITHIN_A_WORD.sub("", rest))


def _ellipses(text: str) -> int:
    """How often ``…``, its like in other scripts, or three dots or more occur in a text."""
    dots = len(_DOTS.findall(text)) if "..." in text else 0
    others = [mark for mark in ELLIPSES if mark in text]
    return dots + sum(text.count(mark) - text.count(mark * 2) for mark in others)


def _trails_off(codes: Codes, ends: Int64Array) -> Flags:
    """Whether an ellipsis or three dots come before each end."""
    three = [codes[np.maximum(ends - back, 0)] == ord(".") for back in (1, 2, 3)]
    found: Flags = _among(codes[ends - 1], ELLIPSES) | np.logical_and.reduce(three)
    return found


def _among(codes: Codes, characters: Iterable[str]) -> Flags:
    return np.isin(codes, [ord(character) for character in characters])
