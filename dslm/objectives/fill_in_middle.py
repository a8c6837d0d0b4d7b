"""Documents in which the middle comes last (Bavarian et al. 2022, context-level).

The path of a row: it is cut behind the ends of its documents; some of these become
[prefix mark] prefix [suffix mark] suffix [middle mark] middle, or with the suffix first:
[prefix mark] [suffix mark] suffix [middle mark] prefix middle (their PSM and SPM, section 3); all
stand one after the other again, each with its end. The marks are three ids behind those of the
tokenizer. They take the place of padding and, where none is left, of the last tokens of the row, as
in Megatron-LM; what is left is cut before it is rearranged, so that nothing else is lost.
"""

from __future__ import annotations

import numpy as np

from dslm.arrays import Int64Array
from dslm.sampling.stateless_random import Reals

SENTINELS = 3
"""The marks of prefix, suffix and middle."""
DRAWS = 4
"""Random numbers that decide about a document."""
SHORTEST = 4
"""Tokens of a document from which it is rearranged: more than there are marks."""


def documents_of(row: Int64Array, end: int | None) -> list[Int64Array]:
    """A row [S] cut behind every `end`; the last document has none if the row is cut within it."""
    if end is None:
        return [row]
    return np.split(row, np.flatnonzero(row[:-1] == end) + 1)


def middle_last(
    documents: list[Int64Array],
    room: int,
    draws: Reals,
    shares: tuple[float, float],
    marks: int,
    begin: int | None,
    end: int | None,
) -> Int64Array:
    """A row in which the middle of some documents comes last.

    Args:
        documents: what `documents_of` gave.
        room: tokens that the row may have.
        draws: [documents, `DRAWS`] random numbers that decide.
        shares: of the documents, that are rearranged, and of these, that have the suffix first.
        marks: the id of the first mark.
        begin: an id that may begin documents and stays in front.
        end: the id that may end documents and stays behind.

    Returns:
        At most `room` ids.
    """
    made: list[Int64Array] = []
    for document, (selected, *drawn) in zip(documents, draws.tolist(), strict=True):
        first = int(begin in document[:1])
        last = document.size - int(end in document[first:][-1:])
        text = document[first : max(first, min(last, room - SENTINELS))]
        if selected < shares[0] and text.size >= SHORTEST:
            moved = _moved(text, drawn, shares[1], marks)
            rest = document[last:] if text.size == last - first else document[:0]
            document = np.concatenate([document[:first], moved, rest])
        made.append(document[:room])
        room -= made[-1].size
    return np.concatenate(made)


def _moved(text: Int64Array, drawn: list[float], suffix_first: float, marks: int) -> Int64Array:
    """A text with its middle last: the order is drawn, and two cuts, all equally likely."""
    before, behind, between = marks + np.arange(SENTINELS)[:, None]
    order, *cuts = drawn
    prefix, middle, suffix = np.split(text, sorted(int(cut * (text.size + 1)) for cut in cuts))
    if order < suffix_first:
        return np.concatenate([before, behind, suffix, between, prefix, middle])
    return np.concatenate([before, prefix, behind, suffix, between, middle])
