"""Rows of different lengths in one flat array, and named arrays in one file.

Files are Arrow IPC streams, uncompressed, one record batch: a file that was cut short is noticed,
and what is loaded is in the page cache and not on the heap. (A stream opens in half the time of
Arrow's file format, which counts where thousands of small files are opened.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.files.whole import appearing

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Ragged(Generic[T]):
    """Rows of numbers, one after the other."""

    values: npt.NDArray[T]
    """All rows."""
    offsets: Int64Array
    """Where each row begins in `values`, and the end of the last one."""

    @classmethod
    def of_lengths(cls, values: npt.NDArray[T], lengths: Int64Array) -> Ragged[T]:
        """Cut an array into rows of given lengths."""
        return cls(values, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))

    @classmethod
    def concatenate(cls, parts: Sequence[Ragged[T]]) -> Ragged[T]:
        """The rows of several, in order."""
        values = np.concatenate([part.values for part in parts])
        return cls.of_lengths(values, np.concatenate([part.lengths for part in parts]))

    @property
    def lengths(self) -> Int64Array:
        """Values in each row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return self.offsets.size - 1

    def __getitem__(self, row: int) -> npt.NDArray[T]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def slice(self, begin: int, end: int) -> Ragged[T]:
        """The rows from one number up to another."""
        first, last = self.offsets[begin], self.offsets[end]
        return Ragged(self.values[first:last], self.offsets[begin : end + 1] - first)

    def take(self, rows: Int64Array) -> Ragged[T]:
        """Some rows, in the order of their numbers here."""
        begins = self.offsets[rows]
        lengths = self.offsets[rows + 1] - begins
        new = np.cumsum(lengths) - lengths
        places = np.repeat(begins - new, lengths) + np.arange(lengths.sum())
        return Ragged.of_lengths(self.values[places], lengths)


Column: TypeAlias = "npt.NDArray[Any] | Ragged[Any]"


def save(path: Path, columns: Mapping[str, Column]) -> None:
    """Write columns of equal length to a file, which appears when it is whole.

    Raises:
        OSError: the disk is full or not writable.
    """
    import pyarrow

    arrays = [
        pyarrow.LargeListArray.from_arrays(column.offsets, column.values)
        if isinstance(column, Ragged)
        else pyarrow.array(column)
        for column in columns.values()
    ]
    batch = pyarrow.record_batch(arrays, names=list(columns))
    with appearing(path) as partial, pyarrow.ipc.new_stream(str(partial), batch.schema) as file:
        file.write_batch(batch)


def load(path: Path) -> dict[str, Any]:
    """The columns of a file, as read-only arrays over its mapped memory, no file kept open.

    Raises:
        DataError: it is missing, cut short, or not such a file.
    """
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as source:
            batch = pyarrow.ipc.open_stream(source).read_next_batch()
    except (OSError, pyarrow.ArrowInvalid) as error:
        rule = f"cannot be read: {str(error).splitlines()[0]}"
        raise DataError(Problem(str(path), None, rule, "remove it and run again")) from None
    return {name: _array(batch.column(name)) for name in batch.schema.names}


def _array(column: Any) -> Column:
    import pyarrow

    if pyarrow.types.is_large_list(column.type):
        return Ragged(column.values.to_numpy(), column.offsets.to_numpy())
    array: npt.NDArray[Any] = column.to_numpy()
    return array
