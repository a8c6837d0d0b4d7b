"""Texts as sets of shingles (Broder 1997): every run of a few words is one hash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dslm.arrays import UInt64Array
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.text.folded_words import words_between_punctuation
from dslm.preprocess.text.hashing import random_factors, run_hashes, spread
from dslm.preprocess.text.ragged import Ragged

Shingles = UInt64Array
"""The different shingles of a text, in ascending order."""


def shingles(text: str, settings: Duplicates) -> Shingles:
    """The shingles of one text, none when it has no words."""
    different: Shingles = np.unique(shingle_rows([text], settings.shingle).values)
    return different


def shingle_rows(texts: Sequence[str], length: int) -> Ragged[np.uint64]:
    """The shingles of each text as they follow each other, repetitions included.

    Args:
        texts: any texts.
        length: words in a shingle; a text of fewer words is one shingle, unless it has none.
    """
    rows = _filled(words_between_punctuation(texts), length)
    ends = rows.offsets[1:][rows.lengths > 0]
    whole = np.ones(rows.values.size, np.bool_)
    for back in range(1, length):
        whole[ends - back] = False  # a shingle does not reach into the next text
    hashes = run_hashes(rows.values, length, int(random_factors("shingle", 1)[0]))
    lengths = np.maximum(rows.lengths - length + 1, 0)
    return Ragged.of_lengths(spread(hashes[whole[: hashes.size]]), lengths)


def _filled(rows: Ragged[np.uint64], length: int) -> Ragged[np.uint64]:
    """Rows that are shorter than a length, but not empty, filled up to it with zeros."""
    missing = np.where(rows.lengths > 0, np.maximum(length - rows.lengths, 0), 0)
    values = np.insert(rows.values, np.repeat(rows.offsets[1:], missing), np.uint64(0))
    return Ragged.of_lengths(values, rows.lengths + missing)


def similarity(left: Shingles, right: Shingles) -> float:
    """The Jaccard similarity of two texts, at least one of which has shingles."""
    common = np.intersect1d(left, right, assume_unique=True).size
    return common / (left.size + right.size - common)
