"""Where the sentences of many texts begin, at a fraction of what it takes to look at each alone.

The path of some texts: `sentence_marks` decides most marks by the bytes around them; the expression
of `sentences` decides the rest; the starts of both in order are those of `sentence_starts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby, pairwise
from operator import itemgetter

import numpy as np

from dslm.arrays import Int64Array
from dslm.preprocess.text.sentence_marks import BETWEEN, Boundaries, boundaries
from dslm.preprocess.text.sentences import (
    ANYWHERE,
    BEFORE_A_NAME,
    BEFORE_A_NUMBER,
    LONGEST,
    cut,
    sentence_starts,
    starts_after,
)

MOST = 1 << 20
"""Characters of a text above which it is dealt with alone: its marks would take much memory."""


@dataclass(frozen=True)
class Sentences:
    """The starts of all sentences of some texts, text after text."""

    characters: Int64Array
    """[sentences]: where each begins among the characters of its text."""
    bytes: Int64Array
    """[sentences]: the same among its bytes of UTF-8."""
    counts: Int64Array
    """[texts]: the sentences of each."""

    def of_each(self) -> list[Int64Array]:
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
    positions = map(_among_bytes, texts, starts)
    return Sentences(np.concatenate(starts), np.concatenate([*positions]), counts)


def _among_bytes(text: str, positions: Int64Array) -> Int64Array:
    """Positions of characters in a text as positions of its UTF-8 bytes."""
    parts = (len(text[a:b].encode()) for a, b in pairwise(positions.tolist()))
    return np.cumsum(np.fromiter(chain([0], parts), np.int64)) if positions.size else positions


def _together(texts: Sequence[str], encoded: Sequence[bytes]) -> Sentences:
    sizes = np.array([len(text) for text in texts], np.int64)
    firsts = np.cumsum(sizes + 1) - sizes - 1  # there is one between two texts
    found = boundaries(encoded, BEFORE_A_NAME, BEFORE_A_NUMBER | ANYWHERE)
    more, headings = _decided_by_expression(texts, firsts, found)
    kept = np.ones(found.marks.size, bool)
    for heading in headings:  # marks within it are passed
        kept[slice(*np.searchsorted(found.marks, heading))] = False
    starts = np.concatenate([firsts[sizes > 0], found.starts[kept], np.array(more, np.int64)])
    starts = _distinct(starts)
    ends = firsts + [len(text.rstrip()) or 1 for text in texts]
    starts = starts[starts < ends[_owners(firsts, starts)]]
    starts = _cut(texts, firsts, firsts + sizes, starts)
    owners = _owners(firsts, starts)
    inner = found.continuations
    codes = starts + np.searchsorted(inner - np.arange(inner.size), starts, "right")
    begins = np.cumsum([0, *(len(code) + 1 for code in encoded)])
    counts = np.bincount(owners, minlength=len(texts))
    return Sentences(starts - firsts[owners], codes - begins[owners], counts)


def _distinct(starts: Int64Array) -> Int64Array:
    """The same in order, each once."""
    ordered = np.sort(starts, kind="stable")  # quick, for it consists of a few ordered parts
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _owners(firsts: Int64Array, positions: Int64Array) -> Int64Array:
    """The number of the text that each position is in."""
    return np.searchsorted(firsts, positions, "right") - 1


def _decided_by_expression(
    texts: Sequence[str], firsts: Int64Array, found: Boundaries
) -> tuple[list[int], list[tuple[int, int]]]:
    """The starts after undecided marks, and the headings, as `Boundaries` counts."""
    owners = _owners(firsts, found.undecided)
    before = np.append(found.starts, 0)[np.searchsorted(found.marks, found.undecided) - 1]
    columns = owners, found.undecided - firsts[owners], before - firsts[owners]
    starts: list[int] = []
    headings: list[tuple[int, int]] = []
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for number, group in groupby(rows, itemgetter(0)):
        _, marks, known = zip(*group, strict=True)
        own, passed = starts_after(texts[number], marks, known)
        first = int(firsts[number])
        starts += [first + start for start in own]
        headings += [(first + start, first + end) for start, end in passed]
    return starts, headings


def _cut(
    texts: Sequence[str], firsts: Int64Array, ends: Int64Array, starts: Int64Array
) -> Int64Array:
    """The same starts, and more where a sentence is too long."""
    owners = _owners(firsts, starts)
    stops = np.minimum(np.append(starts[1:], ends[-1:]), ends[owners])
    more = [starts]
    for number in np.unique(owners[stops - starts > LONGEST]).tolist():
        own = starts[owners == number] - firsts[number]
        more.append(np.array(cut(texts[number], own.tolist())) + firsts[number])
    return _distinct(np.concatenate(more)) if more[1:] else starts
