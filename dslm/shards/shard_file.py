"""A shard read piece by piece, without a map into memory.

A process that reads a mapped file past its end, because the file has been cut in the meantime, is
ended by a signal with nothing said. A read that comes up short is an error with a name.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array, Tokens
from dslm.errors import DataError, Problem

REPAIR = "copy it again or shard again"
EVERY = 256
"""Of a sorted column one number in so many is kept in memory, to be searched first."""


class ShardFile:
    """A file, open for reading until nobody has it any more.

    Args:
        path: which.
        dtype: of its tokens.

    Raises:
        DataError: it cannot be opened.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        try:
            self._number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._damaged(f"cannot be opened: {error.strerror}") from error
        weakref.finalize(self, os.close, self._number)

    def tokens(self, first: int, count: int) -> Tokens:
        """Some consecutive tokens of the file taken as one array.

        Args:
            first: the index of the first.
            count: how many.

        Raises:
            DataError: the file has been cut, or cannot be read.
        """
        return self.array(first * self.dtype.itemsize, count, self.dtype)

    def array(self, offset: int, count: int, dtype: npt.DTypeLike) -> Tokens:
        """An array that lies in the file from a byte on; see `tokens`."""
        found = np.empty(count, dtype=dtype)
        if count:
            self.fill(found.data.cast("B"), offset)
        return found

    def fill_rows(self, table: Tokens, rows: Int64Array, offsets: Int64Array) -> None:
        """Fill rows of a table, each with what lies in the file from a byte on; see `tokens`."""
        if not table.size:
            return
        memory, size = table.reshape(-1).data.cast("B"), table[0].nbytes
        places = zip((rows * size).tolist(), offsets.tolist(), strict=True)
        for start, offset in places:
            self.fill(memory[start : start + size], offset)

    def fill(self, memory: memoryview, offset: int) -> None:
        """Read bytes from an offset on until a piece of memory is full; see `tokens`."""
        size = len(memory)
        try:
            done = os.preadv(self._number, (memory,), offset)
            while 0 < done < size:  # at most 2 GiB are read at once
                read = os.preadv(self._number, (memory[done:],), offset + done)
                done = done + read if read else -1
        except OSError as error:
            raise self._damaged(f"cannot be read: {error.strerror}") from error
        if done < size:
            length = os.fstat(self._number).st_size
            raise self._damaged(f"has been cut to {length:,} bytes while it was read")

    def _damaged(self, rule: str) -> DataError:
        return DataError(Problem(str(self.path), None, rule, REPAIR))


@dataclass(frozen=True)
class Column:
    """A plain array in a shard, of which pieces are read when they are needed."""

    file: ShardFile
    offset: int
    size: int
    dtype: npt.DTypeLike

    def read(self, start: int = 0, stop: int | None = None) -> Tokens:
        """The numbers from `start` to before `stop`, or to the end."""
        count = (self.size if stop is None else stop) - start
        at = self.offset + start * np.dtype(self.dtype).itemsize
        return self.file.array(at, count, self.dtype)

    def count_at_most(self, values: Int64Array) -> Int64Array:
        """How many numbers of a sorted column are at most each value; shape [values]."""
        found = np.zeros(values.size, dtype=np.int64)
        blocks = np.searchsorted(self._sparse, values, "right") - 1
        for block in np.unique(blocks[blocks >= 0]).tolist():
            mine, first = blocks == block, block * EVERY
            numbers = self.read(first, min(first + EVERY, self.size))
            found[mine] = first + np.searchsorted(numbers, values[mine], "right")
        return found

    @cached_property
    def _sparse(self) -> Tokens:
        return self.read()[::EVERY].copy()
