"""Records of labelled data, one after the other, each with where it stands.

JSON lines, a JSON list or SQuAD's JSON, CSV or TSV with a line of names, Parquet and Arrow; packed
or not, in any encoding that text may have.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from dslm.errors import DataError, Problem
from dslm.files.encoding import encoding_of
from dslm.files.lines import MARK
from dslm.files.sniff import sniff
from dslm.files.streams import opened
from dslm.tasks import squad
from dslm.tasks.example import Record

TABLES = {".csv": ",", ".tsv": "\t"}
"""Endings of tables of text, and what stands between their fields."""
LONGEST_FIELD = 2**31 - 1
"""Characters of a field of such a table at most; Python's own limit is below that of many texts."""
ARROW = (".arrow", ".ipc", ".feather")
PACKED = (".gz", ".zst", ".bz2", ".xz")

Located = tuple[int, Record | None]
"""The line, row or question, from 1, and the record; `None` where it is broken."""


def records(path: Path) -> Iterator[Located]:
    """The records of a file.

    Raises:
        DataError: it cannot be read, or is of no kind that is known.
    """
    plain = path.with_suffix("") if path.suffix in PACKED else path
    if path.suffix in (".parquet", *ARROW):
        yield from _columnar(path)
    elif plain.suffix in TABLES:
        yield from _table(path, TABLES[plain.suffix])
    else:
        yield from _json(path)


def _text(path: Path) -> io.BufferedReader:
    compression, _ = sniff(path)
    return opened(path, compression, encoding_of(path, compression, True))


def _json(path: Path) -> Iterator[Located]:
    """The values of a file that holds one in each line, one list of all, or what SQuAD holds."""
    with _text(path) as file:
        begin = file.peek(64).removeprefix(MARK).lstrip()[:1]
        if begin == b"[":
            content = file.read().removeprefix(MARK)
            found = _loaded(content)
            if not isinstance(found, list):
                rule = "begins like a JSON list, but is none"
                raise DataError(Problem(str(path), None, rule, "write one record a line"))
            yield from ((number, _record(one)) for number, one in enumerate(found, 1))
            return
        first = file.readline()
        content = _loaded(first.removeprefix(MARK))
        if content is None and squad.MARK in first + file.peek():
            content = _loaded((first + file.read()).removeprefix(MARK))
            if content is None:
                rule, fix = "begins like questions of SQuAD, but is no JSON", "get the file again"
                raise DataError(Problem(str(path), None, rule, fix))
        if squad.is_squad(content):
            if any(line.strip() for line in file):
                rule = "holds more behind questions in SQuAD's layout"
                fix = "write one file for each, or one record a line"
                raise DataError(Problem(str(path), None, rule, fix))
            yield from enumerate(squad.flattened(content), 1)
            return
        for number, line in enumerate(chain([first], file), 1):
            if line.strip():
                yield number, _record(_loaded(line.removeprefix(MARK)))


def _table(path: Path, between: str) -> Iterator[Located]:
    csv.field_size_limit(LONGEST_FIELD)
    with _text(path) as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines, delimiter=between, strict=True)
        try:
            for row in reader:
                broken = None in row or None in row.values()
                yield reader.line_num, None if broken else row
        except csv.Error as error:
            where = f"{path}:{reader.line_num}"
            raise DataError(Problem(where, None, f"is no table: {error}")) from None


def _columnar(path: Path) -> Iterator[Located]:
    import pyarrow
    from pyarrow import ipc, parquet

    try:
        with pyarrow.memory_map(str(path)) as source:
            if path.suffix == ".parquet":
                batches = parquet.ParquetFile(source).iter_batches()
            else:
                batches = _arrow(ipc, source)
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from enumerate(rows, 1)
    except (OSError, pyarrow.ArrowException) as error:
        rule = f"cannot be read as {path.suffix[1:]} ({str(error).splitlines()[0]})"
        raise DataError(Problem(str(path), None, rule)) from None


def _arrow(ipc: Any, source: Any) -> Iterator[Any]:
    """The batches of an Arrow file or stream."""
    if source.read(6) == b"ARROW1":
        reader = ipc.open_file(source)
        return (reader.get_batch(number) for number in range(reader.num_record_batches))
    source.seek(0)
    return iter(ipc.open_stream(source))


def _loaded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _record(value: Any) -> Record | None:
    return value if isinstance(value, dict) else None
