"""Lines for a parser of records over several of them, which may have to begin again.

A record that does not end is given up at its first line's end; the other lines are given back and
taken again.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Sequence

from dslm.files.lines import LongLine, universal_lines

Line = str | LongLine


class LongLineError(Exception):
    """The last of the lines that were taken is too long."""


class LineReader:
    """Lines as text, of which some can be given back; goes on after an error, as no generator does.

    Args:
        file: at the first line.
        widest: bytes of the longest line, and of the lines of one record.
    """

    def __init__(self, file: io.BufferedReader, widest: int) -> None:
        self._widest = widest
        self._more = _decoded(universal_lines(file, widest))
        self._back: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0

    def begin(self) -> list[Line]:
        """The list of the lines that will be taken for the next record."""
        self._taken, self._size = [], 0
        return self._taken

    def give_back(self, lines: Sequence[Line]) -> None:
        """Lines to be taken again."""
        self._back.extendleft(reversed(lines))

    def drop(self, lines: int) -> None:
        """Take some lines that were given back for nothing."""
        for _ in range(lines):
            self._back.popleft()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > self._widest:
            raise StopIteration  # which is an error within a record
        line = self._back.popleft() if self._back else next(self._more)
        self._taken.append(line)
        if isinstance(line, LongLine):
            raise LongLineError
        self._size += len(line)
        return line


def _decoded(lines: Iterator[bytes | LongLine]) -> Iterator[Line]:
    """Lines as text, in which what is invalid is escaped as `surrogateescape` has it."""
    for line in lines:
        yield line.decode("utf-8", "surrogateescape") if isinstance(line, bytes) else line
