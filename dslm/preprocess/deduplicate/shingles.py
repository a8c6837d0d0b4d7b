"""Texts as sets of shingles (Broder 1997): every run of a few words is one hash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.text.hashing import random_words, spread
from dslm.preprocess.text.ragged import Ragged, Words
from dslm.preprocess.text.shingle_words import words


def shingles(text: str, settings: Duplicates) -> Words:
    """The different shingles of one text in ascending order, none when it has no words."""
    different: Words = np.unique(shingle_rows([text], settings.shingle).values)
    return different


def shingle_rows(texts: Sequence[str], length: int) -> Ragged[np.uint64]:
    """The shingles of each text as they follow each other, repetitions included.

    Args:
        texts: any texts.
        length: words in a shingle; a text of fewer words is one shingle, unless it has none.
    """
    rows = _filled(words(texts), length)
    ends = rows.offsets[1:][rows.lengths > 0]
    whole = np.ones(rows.values.size, np.bool_)
    for place in range(1, length):
        whole[ends - place] = False  # a shingle does not reach into the next text
    count = max(rows.values.size - length + 1, 0)
    sums = np.zeros(count, np.uint64)
    factor = random_words("shingle", 1)[0]
    for place in range(length):  # Horner's rule: nothing but the sums is held
        sums *= factor
        sums += rows.values[place : place + count]
    return Ragged.of_lengths(spread(sums[whole[:count]]), np.maximum(rows.lengths - length + 1, 0))


def _filled(rows: Ragged[np.uint64], length: int) -> Ragged[np.uint64]:
    """Rows that are shorter than a length, but not empty, filled up to it with zeros."""
    missing = np.where(rows.lengths > 0, np.maximum(length - rows.lengths, 0), 0)
    values = np.insert(rows.values, np.repeat(rows.offsets[1:], missing), np.uint64(0))
    return Ragged.of_lengths(values, rows.lengths + missing)


def similarity(left: Words, right: Words) -> float:
    """The Jaccard similarity of two sets of shingles in ascending order, at least one not empty."""
    common = np.intersect1d(left, right, assume_unique=True).size
    return common / (left.size + right.size - common)
