"""Leave out documents that repeat themselves: the repetition rules of Gopher.

The rules and thresholds are those of Rae et al. 2021, "Scaling Language Models: Methods, Analysis &
Insights from Training Gopher" (arXiv 2112.11446), section A.1.1 and table A1. Where the paper
leaves a choice: a repeat is every occurrence but the first; characters are those that are not white
space; a line or paragraph without any is none; the most frequent n-gram of a document is one that
occurs at least twice, and among equals the longest; in scripts without spaces, where each character
is counted as a word, a sequence of n words is one of 2n characters (4n in Thai and the like, whose
letters are sounds).

The table was made for English. The same text repeats more of itself in a language of many small
words: of the Universal Declaration of Human Rights, 0.08 is repeated 5-grams in English, 0.03 in
half of 387 other languages, but 0.14 to 0.26 in a tenth. FineWeb2 (Penedo et al. 2025, arXiv
2506.20920) has limits for each language; here those of n-grams are twice as large for what is not
surely English.

A sequence of n + 1 words can only occur twice where both of its sequences of n words do. So the
2-grams of the whole batch are sorted once, by hash, and each longer n-gram is looked for only among
what is left of the shorter ones, as the pair of numbers that its two parts were given.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array, UInt64Array
from dslm.config.parse import STRICT
from dslm.preprocess.clean.language import is_english
from dslm.preprocess.clean.word_filter import WordFilter
from dslm.preprocess.text.hashing import combined
from dslm.preprocess.text.scripts import PHONETIC_END
from dslm.preprocess.text.words import PHONETIC, Words

Fraction = Annotated[float, Field(ge=0, le=1)]

TOP = (2, 3, 4)
"""Lengths in words of which the most frequent sequence is looked at."""
REPEATED = (5, 6, 7, 8, 9, 10)
"""Lengths in words of which all repeats are looked at."""

CHARACTERS = 2
"""How many characters of Chinese and the like count as a word. Chinese words have between one and
two; with one, a fifth of sound Chinese abstracts would be left out for naming their subject
twice."""
OTHER_LANGUAGES = 2
"""How many times the limit of repeated n-grams is as large in languages other than English."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class RepetitionConfig:
    """How much of a document may be repetition; null switches a rule off."""

    on: bool = False
    """Whether documents that repeat themselves are left out."""
    lines: Fraction | None = 0.3
    """Largest share of lines that repeat an earlier one."""
    paragraphs: Fraction | None = 0.3
    """Largest share of paragraphs that repeat an earlier one."""
    line_characters: Fraction | None = 0.2
    """Largest share of characters in repeated lines; FineWeb (Penedo et al. 2024, section 3.6)
    takes 0.1."""
    paragraph_characters: Fraction | None = 0.2
    """Largest share of characters in repeated paragraphs."""
    top_2_gram: Fraction | None = 0.2
    """Largest share of characters in the most frequent sequence of 2 words."""
    top_3_gram: Fraction | None = 0.18
    """Largest share of characters in the most frequent sequence of 3 words."""
    top_4_gram: Fraction | None = 0.16
    """Largest share of characters in the most frequent sequence of 4 words."""
    repeated_5_grams: Fraction | None = 0.15
    """Largest share of characters in repeated sequences of 5 words."""
    repeated_6_grams: Fraction | None = 0.14
    """Largest share of characters in repeated sequences of 6 words."""
    repeated_7_grams: Fraction | None = 0.13
    """Largest share of characters in repeated sequences of 7 words."""
    repeated_8_grams: Fraction | None = 0.12
    """Largest share of characters in repeated sequences of 8 words."""
    repeated_9_grams: Fraction | None = 0.11
    """Largest share of characters in repeated sequences of 9 words."""
    repeated_10_grams: Fraction | None = 0.1
    """Largest share of characters in repeated sequences of 10 words."""


class RepeatedShare(NamedTuple):
    """How much of every document is repetition in one sense."""

    setting: str
    """The name of the setting that limits it."""
    part: Int64Array
    """How much is repetition; [N]."""
    whole: Int64Array
    """Of how much; [N]."""


class Repetition(WordFilter):
    """The step that leaves out repetitive documents."""

    presets = ("web",)

    def reasons_by_words(self, words: Words) -> list[str | None]:
        """For each document ``repeated lines``, ``top 2-gram`` and so on, or `None`."""
        reasons: list[str | None] = [None] * len(words.documents)
        for setting, part, whole in repeated_shares(words):
            limit = getattr(self._settings, setting)
            if limit is None:
                continue
            far = part > OTHER_LANGUAGES * limit * whole
            for number in np.flatnonzero(part > limit * whole).tolist():
                asked = far[number] or "gram" not in setting
                if asked or is_english(words.documents[number]):
                    reasons[number] = reasons[number] or REASONS[setting]
        return reasons


REASONS = {
    "lines": "repeated lines",
    "paragraphs": "repeated paragraphs",
    "line_characters": "characters of repeated lines",
    "paragraph_characters": "characters of repeated paragraphs",
    **{f"top_{n}_gram": f"top {n}-gram" for n in TOP},
    **{f"repeated_{n}_grams": f"repeated {n}-grams" for n in REPEATED},
}
"""What a document is left out for, by the setting that it exceeds."""


def repeated_shares(words: Words) -> Iterator[RepeatedShare]:
    """All rows of table A1, in the order of the table."""
    characters = np.append(0, np.cumsum(words.ends - words.starts))  # before each word; [W + 1]
    whole = words.characters
    lines = _segments(words, words.line_starts, characters)
    paragraphs = _segments(words, words.paragraph_starts, characters)
    yield RepeatedShare("lines", lines.repeats, lines.number)
    yield RepeatedShare("paragraphs", paragraphs.repeats, paragraphs.number)
    yield RepeatedShare("line_characters", lines.characters, whole)
    yield RepeatedShare("paragraph_characters", paragraphs.characters, whole)
    for length, part in _gram_parts(words, characters).items():
        name = f"top_{length}_gram" if length in TOP else f"repeated_{length}_grams"
        yield RepeatedShare(name, part, whole)


def _gram_parts(words: Words, characters: Int64Array) -> dict[int, Int64Array]:
    """For each length in words, the characters of each document that its rule counts."""
    parts = {length: np.zeros(len(words.documents), np.int64) for length in TOP + REPEATED}
    phonetic = words.unspaced & (words.unspaced_below(PHONETIC_END) > words.syllables)
    scripts = [
        (1, ~words.unspaced),
        (CHARACTERS, words.unspaced & ~phonetic),
        (PHONETIC, phonetic),
    ]
    scripts = [(per_word, documents) for per_word, documents in scripts if documents.any()]
    wanted = {length * per_word for length in parts for per_word, _ in scripts}
    for size, grams in _repeated_grams(words, max(wanted, default=0)):
        for per_word, documents in scripts:
            length = size // per_word
            if length in parts and size % per_word == 0:
                part = _top if length in TOP else _covered
                parts[length] += documents * part(words, grams, size, characters)
    return parts


class _Segments(NamedTuple):
    """The lines or the paragraphs of each document; all [N]."""

    number: Int64Array
    repeats: Int64Array
    characters: Int64Array


def _segments(words: Words, firsts: Int64Array, characters: Int64Array) -> _Segments:
    ends = np.append(firsts, len(words.starts))[1:]
    document = words.document[firsts]
    hashes = words.hashes(words.starts[firsts], words.ends[ends - 1])
    groups = _alike(combined(document, hashes))
    repeats = groups.members[groups.members != groups.openers[groups.number]]
    sizes = characters[ends[repeats]] - characters[firsts[repeats]]
    return _Segments(
        words.tally(document),
        words.tally(document[repeats]),
        words.tally(document[repeats], sizes),
    )


class _Groups(NamedTuple):
    """Things that occur more than once; **M** occurrences in **G** groups."""

    members: Int64Array
    """Each occurrence; [M]."""
    number: Int64Array
    """The group of each; ascending; [M]."""
    openers: Int64Array
    """The first occurrence in each group; [G]."""


def _alike(keys: UInt64Array) -> _Groups:
    """Group the positions of equal keys, leaving out keys that occur once."""
    order = _order(keys)
    ordered = keys[order]
    equal = ordered[1:] == ordered[:-1]
    several = np.zeros(len(keys), np.bool_)
    several[1:] = equal
    several[:-1] |= equal
    members = order[several]
    opens = np.append(True, ~equal)[: len(keys)][several]
    return _Groups(members, np.cumsum(opens) - 1, members[opens])


def _order(keys: UInt64Array) -> Int64Array:
    """What sorts the keys, equal ones in their order: `np.argsort`, three times as fast.

    The position of each key replaces its lowest bits, so that plain numbers are sorted. Only where
    two keys differ in those bits alone are they sorted the long way.
    """
    bits = np.uint64(len(keys).bit_length())
    packed = keys >> bits << bits | np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
    packed >>= bits
    ordered = keys[order]
    if ((packed[1:] == packed[:-1]) & (ordered[1:] != ordered[:-1])).any():
        return np.argsort(keys, kind="stable")
    return order


def _repeated_grams(words: Words, longest: int) -> Iterator[tuple[int, _Groups]]:
    """The n-grams that a document holds more than once, for each n; members are first words."""
    pairs = np.flatnonzero(words.document[1:] == words.document[:-1])
    keys = combined(words.document[pairs], words.each[pairs], words.each[pairs + 1])
    grams = _at(pairs, _alike(keys))
    for length in range(2, longest + 1):
        yield length, grams
        grams = _longer(grams, len(words.starts))


def _longer(grams: _Groups, words: int) -> _Groups:
    """The groups of n-grams one word longer."""
    numbers = np.full(words + 1, -1, np.int64)
    numbers[grams.members] = grams.number
    positions = np.flatnonzero((numbers[:-1] >= 0) & (numbers[1:] >= 0))
    return _at(positions, _alike(combined(numbers[positions], numbers[positions + 1])))


def _at(positions: Int64Array, groups: _Groups) -> _Groups:
    """Groups of indices into ascending positions as groups of positions."""
    return _Groups(positions[groups.members], groups.number, positions[groups.openers])


def _top(words: Words, grams: _Groups, length: int, characters: Int64Array) -> Int64Array:
    """Characters in the most frequent n-gram of each document; [N]."""
    occurrences = np.bincount(grams.number, minlength=len(grams.openers))
    sizes = characters[grams.openers + length] - characters[grams.openers]
    scores = np.zeros(len(words.documents), np.int64)
    np.maximum.at(scores, words.document[grams.openers], occurrences << 32 | sizes)
    return (scores >> 32) * (scores & 0xFFFFFFFF)


def _covered(words: Words, grams: _Groups, length: int, characters: Int64Array) -> Int64Array:
    """Characters in repeats of n-grams of each document, each character counted once; [N]."""
    repeats = np.sort(grams.members[grams.members != grams.openers[grams.number]])
    uncounted = repeats.copy()
    uncounted[1:] = np.maximum(repeats[1:], repeats[:-1] + length)
    sizes = characters[repeats + length] - characters[uncounted]
    return words.tally(words.document[repeats], sizes)
