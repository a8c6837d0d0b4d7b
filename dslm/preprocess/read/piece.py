"""A part of an input that one worker reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Piece:
    """A range of bytes or rows of an input; see `pieces`."""

    input: int
    """The number of the input."""
    path: Path
    """The input."""
    start: int = 0
    """The first byte of plain text or JSON lines, the first row of a table."""
    end: int | None = None
    """The byte or row after the last one; the last piece of an input has no end."""
    text_bytes: int = 0
    """Bytes of text, estimated for what is packed; those of all pieces of an input add up to
    `text_bytes` of it."""
