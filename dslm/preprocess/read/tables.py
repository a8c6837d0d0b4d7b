"""CSV and TSV with a header: one document a row, cells quoted as the `csv` module has it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial

from dslm.errors import DataError, Problem
from dslm.files.lines import skip_line, to_line
from dslm.files.names import alternatives
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import Source


def read(source: Source, delimiter: str = ",") -> Iterator[Document]:
    """The documents of a table.

    Raises:
        DataError: the file cannot be read, or has no such column.
        CutShortError: it is packed and not whole.
    """
    csv.field_size_limit(source.reading.longest + 1)  # of the whole process, alas
    with source.opened() as file:
        lines = _Lines(file, source)
        rows = csv.reader(lines, delimiter=delimiter)
        header = next(rows, None)
        if header is None:
            return
        column = _column(header, source)
        for cells in _rows(rows, lines, source):
            if len(cells) != len(header):
                detail = f"{len(cells)} cells below {len(header)} names"
                source.broken("not a row", detail, " ".join(cells))
                continue
            text = source.decode(cells[column].encode("utf-8", "surrogateescape"))
            if text is not None and (document := source.document(text)):
                yield document


def _column(header: list[str], source: Source) -> int:
    name = source.reading.text_key
    if name not in header:
        fix = f"{alternatives(name, header)}; the first line must name the columns"
        raise DataError(Problem(str(source.piece.path), None, f"has no column {name!r}", fix))
    return header.index(name)


def _rows(rows: Iterator[list[str]], lines: _Lines, source: Source) -> Iterator[list[str]]:
    """The rows below the header that can be read, with `source` at each."""
    while True:
        source.line = lines.passed + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except _LostError as lost:
            source.broken(*lost.args)
        except csv.Error as error:
            source.broken("too long" if "limit" in str(error) else "not a row", str(error))
        else:
            if not cells:
                continue  # a blank line
            yield cells
        source.offset += 1


class _LostError(Exception):
    """A line cannot be part of any row: the reason and a detail."""


class _Lines:
    """The lines of a table, for the `csv` module; goes on after an error, as no generator does."""

    def __init__(self, file: io.BufferedReader, source: Source) -> None:
        self._file, self._widest, self.passed = file, source.widest, 0
        to_line(file, 0)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline(self._widest)
        if not line:
            raise StopIteration
        self.passed += 1
        if len(line) == self._widest and not line.endswith(b"\n"):
            raise _LostError("too long", f"{self._widest + skip_line(self._file)} bytes")
        if b"\0" in line:
            raise _LostError("NUL bytes")
        return line.decode("utf-8", "surrogateescape")  # `Source.decode` sees what was invalid


FORMATS = (
    Format("CSV", read, (".csv",)),
    Format("TSV", partial(read, delimiter="\t"), (".tsv",)),
)
