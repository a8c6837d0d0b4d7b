"""Documents put together into rows of equal length, so that few are cut and little is padding.

The path of a document: as many whole rows as it fills are cut from its front; what remains goes,
longest remainders first, into the row with the least room that still takes it (best-fit
decreasing). Ding et al., "Fewer Truncations Improve Language Modeling", 2024, section 3.

Rows matter only by the room they have left, and remainders only by their length. So a row is
filled with as many remainders of one length as it takes at once, and all rows with the same room
are filled at once: the work is done for each length, not for each document.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

import numpy as np

from dslm.arrays import Int64Array


@dataclass(frozen=True)
class Packing:
    """Which tokens of which documents make each row.

    A piece is a span of tokens of one document. Pieces are listed row by row, and within a row in
    the order of the documents.
    """

    rows: Int64Array
    """Row r holds the pieces rows[r] … rows[r + 1] - 1; shape [rows + 1]."""
    document: Int64Array
    """The document of each piece; shape [pieces], like those that follow."""
    start: Int64Array
    """Its first token, counted within the document."""
    length: Int64Array
    """Its tokens, at least 1."""


def pack(lengths: Int64Array, sequence: int) -> Packing:
    """Put documents into rows.

    The result depends on nothing but the arguments. Every token of every document is in exactly
    one piece; a document is in more than one only if it is longer than a row.

    Args:
        lengths: tokens of each document; shape [documents]. One without tokens is in no row.
        sequence: tokens of a row, at least 1.
    """
    whole, remainders = np.divmod(lengths, sequence)
    full_rows = int(whole.sum())
    left = np.flatnonzero(remainders)
    left = left[np.argsort(-remainders[left], kind="stable")]

    document = np.concatenate([np.repeat(np.arange(lengths.size), whole), left])
    number = np.arange(full_rows) - np.repeat(np.cumsum(whole) - whole, whole)
    start = np.concatenate([number, whole[left]]) * sequence
    length = np.concatenate([np.full(full_rows, sequence), remainders[left]])
    row = np.concatenate([np.arange(full_rows), full_rows + _best_fit(remainders[left], sequence)])

    order = np.lexsort((document, row))
    counts = np.bincount(row)
    return Packing(
        np.concatenate([[0], np.cumsum(counts)]), document[order], start[order], length[order]
    )


def _best_fit(lengths: Int64Array, sequence: int) -> Int64Array:
    """The row of each piece, rows being counted from 0.

    Args:
        lengths: in descending order, each in [1, sequence].
        sequence: tokens of a row.
    """
    rows = np.empty(lengths.size, dtype=np.int64)
    open_rows = _OpenRows(sequence)
    values, counts = np.unique(lengths, return_counts=True)
    first = 0
    for length, count in zip(values[::-1].tolist(), counts[::-1].tolist(), strict=True):
        end = first + count
        while first < end:
            chosen, times = open_rows.take(length, end - first)
            placed = first + chosen.size * times
            rows[first:placed] = np.repeat(chosen, times)
            first = placed
    return rows


class _OpenRows:
    """Rows by the room they have left."""

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence
        self._rooms: list[int] = []  # in ascending order, those of some row
        self._rows: dict[int, list[Int64Array]] = {}
        self._count = 0

    def take(self, length: int, wanted: int) -> tuple[Int64Array, int]:
        """Place pieces of one length where best fit places them next.

        A row that has taken a piece is the tightest for the next one if it still has the room,
        so a row takes as many as it can before another one takes any.

        Returns:
            Rows, and how many of the pieces each of them takes: at least 1 and at most `wanted`
            in all.
        """
        found = bisect.bisect_left(self._rooms, length)
        if found == len(self._rooms):
            room = self._sequence
            rows = np.arange(self._count, self._count + -(-wanted // (room // length)))
            self._count += rows.size
        else:
            room = self._rooms[found]
            rows = self._rows[room].pop()
            if not self._rows[room]:
                del self._rooms[found], self._rows[room]
        times = min(room // length, wanted)
        taken, rest = np.split(rows, [min(rows.size, wanted // times)])
        self._put(rest, room)
        self._put(taken, room - times * length)
        return taken, times

    def _put(self, rows: Int64Array, room: int) -> None:
        """Add rows of one room; full ones are done with."""
        if not (rows.size and room):
            return
        if room not in self._rows:
            bisect.insort(self._rooms, room)
            self._rows[room] = []
        self._rows[room].append(rows)
