"""Where the sentences of many texts begin, at a fraction of what it takes to look at each alone.

The way of some texts: `sentence_marks` tells most marks from the bytes around them; about the rest
the expression of `sentences` is asked; the starts of both in order are those of `sentence_starts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from dslm.preprocess.text.sentence_marks import BETWEEN, Marks, marks
from dslm.preprocess.text.sentences import (
    ANYWHERE,
    BEFORE_A_NAME,
    BEFORE_A_NUMBER,
    LONGEST,
    cut,
    sentence_starts,
    starts_behind,
)

Integers = npt.NDArray[np.int64]

MOST = 1 << 20
"""Characters of a text above which it is dealt with alone: its marks would take much memory."""


@dataclass(frozen=True)
class Sentences:
    """The starts of all sentences of some texts, text after text."""

    characters: Integers
    """[sentences]: where each begins among the characters of its text."""
    bytes: Integers
    """[sentences]: the same among its bytes of UTF-8."""
    counts: Integers
    """[texts]: the sentences of each."""

    def of_each(self) -> list[Integers]:
        """`characters`, text by text."""
        return np.split(self.characters, np.cumsum(self.counts)[:-1])


def sentences_of(texts: Sequence[str], encoded: Sequence[bytes]) -> Sentences:
    """What `sentence_starts` finds in each text.

    Args:
        texts: any number, of any length.
        encoded: the same in UTF-8.
    """
    alone = [len(text) > MOST or BETWEEN in code for text, code in zip(texts, encoded, strict=True)]
    parts, first = [], 0
    for one, run in groupby(alone):
        last = first + len([*run])
        find = _one_by_one if one else _together
        parts.append(find(texts[first:last], encoded[first:last]))
        first = last
    columns = zip(*((part.characters, part.bytes, part.counts) for part in parts), strict=True)
    return Sentences(*map(np.concatenate, columns))


def _one_by_one(texts: Sequence[str], encoded: Sequence[bytes]) -> Sentences:
    starts = [np.array(sentence_starts(text), np.int64) for text in texts]
    counts = np.array([found.size for found in starts], np.int64)
    places = map(_among_bytes, texts, starts)
    return Sentences(np.concatenate(starts), np.concatenate([*places]), counts)


def _among_bytes(text: str, places: Integers) -> Integers:
    """Places among the characters of a text as places among its UTF-8 bytes."""
    parts = (len(text[a:b].encode()) for a, b in pairwise(places.tolist()))
    return np.cumsum(np.fromiter(chain([0], parts), np.int64)) if places.size else places


def _together(texts: Sequence[str], encoded: Sequence[bytes]) -> Sentences:
    sizes = np.array([len(text) for text in texts], np.int64)
    firsts = np.cumsum(sizes + 1) - sizes - 1  # one stands between two texts
    told = marks(encoded, BEFORE_A_NAME, BEFORE_A_NUMBER | ANYWHERE)
    asked, headings = _asked(texts, firsts, told)
    kept = np.ones(told.marks.size, bool)
    for heading in headings:  # marks within it are passed
        kept[slice(*np.searchsorted(told.marks, heading))] = False
    starts = np.concatenate([firsts[sizes > 0], told.starts[kept], np.array(asked, np.int64)])
    starts = _distinct(starts)
    ends = firsts + [len(text.rstrip()) or 1 for text in texts]
    starts = starts[starts < ends[_owners(firsts, starts)]]
    starts = _cut(texts, firsts, firsts + sizes, starts)
    owners = _owners(firsts, starts)
    codes = starts + np.searchsorted(told.inner - np.arange(told.inner.size), starts, "right")
    begins = np.cumsum([0, *(len(code) + 1 for code in encoded)])
    counts = np.bincount(owners, minlength=len(texts))
    return Sentences(starts - firsts[owners], codes - begins[owners], counts)


def _distinct(starts: Integers) -> Integers:
    """The same in order, each once."""
    ordered = np.sort(starts, kind="stable")  # quick, for it consists of a few ordered parts
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _owners(firsts: Integers, places: Integers) -> Integers:
    """The number of the text in which each place lies."""
    return np.searchsorted(firsts, places, "right") - 1


def _asked(
    texts: Sequence[str], firsts: Integers, told: Marks
) -> tuple[list[int], list[tuple[int, int]]]:
    """The starts behind marks that are not told, and the headings, as `Marks` counts."""
    owners = _owners(firsts, told.asked)
    before = np.append(told.starts, 0)[np.searchsorted(told.marks, told.asked) - 1]
    columns = owners, told.asked - firsts[owners], before - firsts[owners]
    starts: list[int] = []
    headings: list[tuple[int, int]] = []
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for number, group in groupby(rows, itemgetter(0)):
        _, places, known = zip(*group, strict=True)
        found, passed = starts_behind(texts[number], places, known)
        first = int(firsts[number])
        starts += [first + start for start in found]
        headings += [(first + start, first + end) for start, end in passed]
    return starts, headings


def _cut(texts: Sequence[str], firsts: Integers, ends: Integers, starts: Integers) -> Integers:
    """The same starts, and more where a sentence is too long."""
    owners = _owners(firsts, starts)
    behind = np.minimum(np.append(starts[1:], ends[-1:]), ends[owners])
    more = [starts]
    for number in np.unique(owners[behind - starts > LONGEST]).tolist():
        own = starts[owners == number] - firsts[number]
        more.append(np.array(cut(texts[number], own.tolist())) + firsts[number])
    return _distinct(np.concatenate(more)) if more[1:] else starts
