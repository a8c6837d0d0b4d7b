"""What a reader says of the files that it reads: how they are recognised, divided and read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dslm.preprocess.document import Document
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.source import Source


@dataclass(frozen=True)
class Format:
    """A format of files that hold documents; `registry.FORMATS` lists them."""

    name: str
    """What users call it."""
    read: Callable[[Source], Iterator[Document]]
    """The documents of a piece, in order. Raises `DataError` for a file that cannot be read at all;
    what is wrong with a record goes to `Source.broken`, damaged packing is dealt with before."""
    suffixes: tuple[str, ...] = ()
    """Ends of the names, in small letters, of files that are of this format; asked where no
    format is known by its magic."""
    magic: bytes = b""
    """How the unpacked content of such a file begins, whatever its name; needed where it is not
    text."""
    magic_at: int = 0
    """The byte at which that stands."""
    ratio: int = 1
    """Bytes of text in a byte of the file, about; above 1 where the format itself is packed."""
    divisible: Callable[[ReadingConfig], bool] = lambda _: False
    """Whether a document can be found from any byte of a plain file in UTF-8, so that pieces of it
    may begin anywhere."""
    row_groups: Callable[[Path], list[int]] | None = None
    """For a table: the number of rows before the end of each group in which its rows are stored.
    Pieces of it begin with such a group."""

    def begins(self, start: bytes) -> bool:
        """Whether the content of a file that begins so is of this format."""
        return start.startswith(self.magic, self.magic_at)
