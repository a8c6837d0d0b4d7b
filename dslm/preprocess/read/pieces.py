"""Inputs cut into pieces of work, without reading them.

A piece of plain lines or blocks is a range of bytes. A document belongs to the piece in which its
first byte lies; the reader of a piece looks for that border itself, so that the documents are the
same whatever the size of a piece. A piece of a table is a range of its rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from dslm.files.encoding import encoding_of
from dslm.preprocess.read.kinds import FileKind, kind, text_bytes
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.source import Piece

SMALLEST = 4
"""Bytes; a border must not fall into a byte order mark."""


def pieces(paths: Sequence[Path], reading: ReadingConfig, size: int) -> list[Piece]:
    """Cut inputs into pieces, in order; at least one for each.

    Args:
        paths: inputs from `expand`.
        reading: what a document is in them.
        size: bytes of text in a piece, about.

    Raises:
        DataError: an input cannot be read.
    """
    return [
        piece for number, path in enumerate(paths) for piece in _cut(number, path, reading, size)
    ]


def _cut(number: int, path: Path, reading: ReadingConfig, size: int) -> list[Piece]:
    found = kind(path)
    total = text_bytes(path, found)
    borders = [0, total]
    if _in_bytes(path, found, reading):
        borders = [*range(0, max(total, 1), max(size, SMALLEST)), total]
    elif found.format.row_groups and not found.compression:
        borders = _whole_groups(found.format.row_groups(path), total, size)
    whole = max(borders[-1], 1)
    last = borders[-1]
    return [
        Piece(
            input=number,
            path=path,
            start=start,
            end=None if end == last else end,
            text_bytes=total * end // whole - total * start // whole,
        )
        for start, end in pairwise(borders)
    ]


def _in_bytes(path: Path, found: FileKind, reading: ReadingConfig) -> bool:
    """Whether any byte of a file can be sought and belongs to one document alone."""
    return (
        not found.compression
        and found.format.divisible(reading)
        and encoding_of(path, "", reading.detects) == "utf-8"
    )


def _whole_groups(ends: Sequence[int], total: int, size: int) -> list[int]:
    """Borders between groups of rows, about `size` bytes apart; the last is the number of rows."""
    borders = [0]
    for end in ends[:-1]:
        if total * (end - borders[-1]) >= size * ends[-1]:
            borders.append(end)
    return [*borders, ends[-1]] if ends else [0, 0]
