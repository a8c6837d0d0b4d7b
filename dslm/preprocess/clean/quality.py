"""Leave out documents that do not read like prose: the rules of Gopher, C4 and FineWeb.

- Gopher: Rae et al. 2021, "Scaling Language Models: Methods, Analysis & Insights from Training
  Gopher" (arXiv 2112.11446), section A.1.1.
- C4: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
  Transformer" (arXiv 1910.10683), section 2.2. Its rules about lines are in `lines`.
- FineWeb: Penedo et al. 2024, "The FineWeb Datasets" (arXiv 2406.17557), section 3.6. Its rule
  about repeated lines is in `repetition`.

What is on by default is what FineWeb used. Rules about English words apply to English alone: to a
document whose language was found to be English or, where none was looked for, to one mostly in
unaccented Latin letters. In scripts without spaces a character counts as a word, and lines are not
called short. Lines without a visible character are no lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Flags, Int64Array, UInt64Array
from dslm.config.parse import STRICT
from dslm.preprocess.clean.word_filter import WordFilter
from dslm.preprocess.document import Document
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

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's."""
BULLETS = "•‣▶◀◦■□▪▫●○*-"
SHORT_LINE = 30
"""Characters up to which FineWeb calls a line short."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class QualityConfig:
    """What a document must be like; null switches a rule off."""

    on: bool = False
    """Whether documents that do not read like prose are left out."""
    minimum_words: Count | None = 50
    """Fewest words (Gopher)."""
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
        yield from self._about_english(words, _english(words))
        yield from self._about_symbols(words)
        yield from self._about_lines(words)

    def _about_words(self, words: Words) -> Iterator[tuple[str, Flags]]:
        limits, number = self._settings, np.diff(words.bounds)
        if limits.minimum_words is not None:
            yield "few words", number < limits.minimum_words
        if limits.maximum_words is not None:
            yield "many words", number > limits.maximum_words
        if limits.alphabetic_words is not None:
            alphabetic = words.total(_alphabetic(words))
            yield "words without letters", alphabetic < limits.alphabetic_words * number
        if limits.digits is not None:
            digits = words.occurrences(words.kinds & DIGIT > 0)
            yield "digits", digits > limits.digits * words.characters

    def _about_english(self, words: Words, english: Flags) -> Iterator[tuple[str, Flags]]:
        limits, number = self._settings, np.diff(words.bounds)
        if limits.minimum_mean_length is not None:
            yield "short words", english & (words.characters < limits.minimum_mean_length * number)
        if limits.maximum_mean_length is not None:
            yield "long words", english & (words.characters > limits.maximum_mean_length * number)
        if limits.stop_words is not None:
            different = self._different_stop_words(words)
            yield "few stop words", english & (different < limits.stop_words)
        if limits.sentences is not None:
            ends = _stops(words)
            ends[words.line_ends] = True
            yield "few sentences", english & (words.total(ends) < limits.sentences)

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
            yield "symbols", symbols > limits.symbols * np.diff(words.bounds)
        if not limits.curly_brackets:
            yield "curly bracket", np.array(["{" in text for text in texts], np.bool_)
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
        if limits.punctuated_lines is not None:
            punctuated = words.tally(document[words.kinds[end - 1] & (ENDS | CLOSES) > 0])
            yield "unpunctuated lines", punctuated <= limits.punctuated_lines * number
        if limits.short_lines is not None:
            short = words.tally(document[end - first <= SHORT_LINE])
            yield "short lines", ~words.unspaced & (short >= limits.short_lines * number)
        if limits.bullet_lines is not None:
            bullets = np.isin(words.codes[first], [ord(bullet) for bullet in BULLETS])
            yield "bullets", words.tally(document[bullets]) > limits.bullet_lines * number
        if limits.ellipsis_lines is not None:
            open_ends = words.tally(document[_trails_off(words.codes, end)])
            yield "ellipses", open_ends > limits.ellipsis_lines * number


def _hashes(words: Sequence[str]) -> UInt64Array:
    return split([Document(word) for word in words]).each


def _english(words: Words) -> Flags:
    """Whether a document is in English, as far as is known or can be guessed; [N]."""
    letters = words.first_kinds & LETTER > 0
    plain = words.total(letters & (words.codes[words.starts] < 128))
    likely = ~words.unspaced & (2 * plain >= words.total(letters))
    languages = np.array([document.language for document in words.documents], np.str_)
    return np.where(languages == "", likely, languages == "en")


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


def _low(hashes: UInt64Array) -> UInt64Array:
    return hashes & np.uint64(0xFFFF)


def _ellipses(text: str) -> int:
    """How often ``…`` or three dots or more occur in a text."""
    dots = len(_DOTS.findall(text)) if "..." in text else 0
    return dots + text.count("…")


def _trails_off(codes: Codes, ends: Int64Array) -> Flags:
    """Whether ``…`` or three dots come before each end."""
    three = [codes[np.maximum(ends - back, 0)] == ord(".") for back in (1, 2, 3)]
    found: Flags = (codes[ends - 1] == ord("…")) | np.logical_and.reduce(three)
    return found
