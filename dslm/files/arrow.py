"""Arrow and Parquet files as runs of rows, of which one is held at a time.

Arrow is mapped into memory, so that rows which are skipped are not read, and pages already read are
the system's to drop.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem

FILE_HEADER = 8
"""Bytes before the stream that an Arrow file contains: "ARROW1" and padding (Arrow columnar format,
"IPC File Format"). Read as a stream, a file without its end gives the rows that it has."""

FILE_END, STREAM_END = b"ARROW1", b"\xff\xff\xff\xff\0\0\0\0"

DATASET = ("dataset_info.json", "state.json")
"""The files by which `datasets` knows a folder that it saved."""


def is_dataset(folder: Path) -> bool:
    """Whether a folder is what `datasets.Dataset.save_to_disk` writes."""
    return all((folder / name).is_file() for name in DATASET)


def input_files(path: Path) -> list[Path]:
    """The files of an input: itself, or the Arrow files of a folder that `datasets` saved.

    Returns:
        In the order of their rows.

    Raises:
        DataError: the folder does not name its files, names one outside of it, or lacks one.
    """
    return _data_files(path) if path.is_dir() else [path]


def _data_files(folder: Path) -> list[Path]:
    state, fix = folder / "state.json", "save the data set again"
    try:
        names = [str(file["filename"]) for file in json.loads(state.read_bytes())["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError):
        rule = "does not name the files of the data set"
        raise DataError(Problem(str(state), None, rule, fix)) from None
    for name in names:
        if Path(name).name != name:
            raise DataError(Problem(str(state), name, "is no file beside it", fix))
        if not (folder / name).is_file():
            rule = "is missing from the data set"
            raise DataError(Problem(str(folder / name), None, rule, "copy the folder again"))
    return [folder / name for name in names]


def batches(file: Any, form: str) -> Iterator[Any]:
    """The record batches of an open Arrow file (of pyarrow or of Python), from its beginning.

    Args:
        file: the file.
        form: `arrow file` or `arrow stream`.

    Raises:
        pyarrow.ArrowInvalid: it is damaged or, after the last batch that it has, cut short.
    """
    import pyarrow as pa

    if form == "arrow file":
        file.read(FILE_HEADER)
    with pa.ipc.open_stream(file) as reader:
        yield from reader
        if not _is_whole(file, form):
            raise pa.ArrowInvalid("it is cut short: the mark of its end is missing")


def _is_whole(file: Any, form: str) -> bool:
    """Whether what has been read as a stream ends where it should.

    A file has a footer behind it, then the length of that, and a mark; a stream a mark alone, which
    can be looked at only where one can go back.
    """
    if form == "arrow file":
        rest = file.read()
        footer = int.from_bytes(rest[-10:-6], "little")
        return rest.endswith(FILE_END) and len(rest) == footer + 10
    if not file.seekable():
        return True
    file.seek(-len(STREAM_END), 2)
    return bool(file.read() == STREAM_END)


def mapped_batches(path: Path, form: str) -> Iterator[Any]:
    """The record batches of an input, one file behind the other."""
    import pyarrow as pa

    for part in input_files(path):
        with pa.memory_map(str(part)) as file:
            yield from batches(file, form)


def row_groups(path: Path, form: str) -> list[int]:
    """The number of rows before the end of each group of Parquet or each batch of Arrow.

    Args:
        path: a file, or a folder that `datasets` saved.
        form: `parquet`, `arrow file` or `arrow stream`.

    Returns:
        Rising numbers; those before the damage where a file is damaged.
    """
    return list(accumulate(_sizes(path, form)))


def _sizes(path: Path, form: str) -> Iterator[int]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if form == "parquet":
            groups = pq.read_metadata(path)
            yield from (
                groups.row_group(number).num_rows for number in range(groups.num_row_groups)
            )
        else:
            yield from (batch.num_rows for batch in mapped_batches(path, form))
    except (pa.ArrowException, OSError):
        return  # whoever reads the file will see it
