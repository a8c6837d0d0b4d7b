"""Rows of text in columns: words to the left, numbers to the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def columns(rows: Sequence[Sequence[str]], right: str) -> Iterator[str]:
    """The lines of a table.

    Args:
        rows: all of the same length, the head first.
        right: the heads of the columns that are set to the right, separated by spaces.
    """
    head = rows[0]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    numbers = [name in right.split() for name in head]
    for row in rows:
        cells = zip(row, widths, numbers, strict=True)
        line = "  ".join(text.rjust(w) if number else text.ljust(w) for text, w, number in cells)
        yield line.rstrip()
