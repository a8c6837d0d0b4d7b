"""CSV and TSV with a header: one document a row, cells quoted as RFC 4180 has it.

A row that cannot be read is given up at the end of its first line, and reading goes on with the
line behind it: a quote that is never closed costs one row. A row over several lines is believed
unless the row behind it is broken, and all would be well had it ended with its first line.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from dslm.errors import DataError, Problem
from dslm.files.line_reader import Line, LineReader, LongLineError
from dslm.files.lines import to_line
from dslm.files.names import alternatives
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import Source
from dslm.tokenizers.chat import RENDERED, conversation

UNCLOSED = ("not a row", "a quote is not closed")
OTHER_DELIMITERS = ";\t|,"
"""What stands between the cells of tables that are not of their name's kind."""


def read(source: Source, delimiter: str, quote: str) -> Iterator[Document]:
    """The documents of a table.

    Args:
        source: the file.
        delimiter: what stands between cells, unless the user says otherwise.
        quote: what stands around cells, or `none`; unless the user says otherwise.

    Raises:
        DataError: the file cannot be read, or has no such column.
    """
    csv.field_size_limit(source.widest)  # of the whole process, alas
    quote = source.reading.quote or quote
    dialect = {
        "delimiter": source.reading.delimiter or delimiter,
        "quotechar": None if quote == "none" else quote,
        "quoting": csv.QUOTE_NONE if quote == "none" else csv.QUOTE_MINIMAL,
    }
    with source.opened() as file:
        table = _Table(file, source, dialect)
        header = table.header()
        if not header:
            return
        column = _column(header, source)
        for cells in table.rows(len(header)):
            text = cells[column] if column >= 0 else _chat(header, cells)
            whole = source.decode(text.encode("utf-8", "surrogateescape"))
            if whole is not None and (document := source.document(whole)):
                if column < 0:
                    source.counts[RENDERED] += 1
                yield document


def _column(header: list[str], source: Source) -> int:
    """The number of the column of text; -1 where rows are instructions."""
    name = source.reading.text_key
    if name in header:
        return header.index(name)
    if source.reading.takes_chat and conversation(dict.fromkeys(header, "")) is not None:
        return -1
    fix = f"{alternatives(name, header)}; the first line must name the columns"
    fix += ", and --text-key that of the text"
    others = [mark for mark in OTHER_DELIMITERS if mark in header[0]] if len(header) == 1 else []
    fix += f"; if {others[0]!r} stands between cells, add --delimiter" if others else ""
    raise DataError(Problem(str(source.piece.path), None, f"has no column {name!r}", fix))


def _chat(header: list[str], cells: list[str]) -> str:
    return conversation(dict(zip(header, cells, strict=True))) or ""


Row = tuple[list[Line], list[str], tuple[str, str] | None]
"""Some lines, and the cells in them or what is wrong with them."""


class _Table:
    """The rows of a table."""

    def __init__(self, file: io.BufferedReader, source: Source, dialect: dict[str, Any]) -> None:
        to_line(file, 0)
        self._source, self._dialect = source, dialect
        self._lines = LineReader(file, source.widest)
        self._reader = csv.reader(self._lines, strict=True, **dialect)
        self._ready: deque[Row] = deque()

    def header(self) -> list[str]:
        """The names of the columns; none in an empty file.

        Raises:
            DataError: they cannot be read.
        """
        source = self._source
        for lines, cells, problem in iter(self._row, None):
            longest = max(map(len, cells), default=0)
            if longest > source.reading.longest:
                problem = ("too long", f"a name of {longest} characters")
            if problem:
                rule = f"its first line must name the columns, but is {': '.join(problem)}"
                fix = "see --longest" if problem[0] == "too long" else "mend it, or see --quote"
                raise DataError(Problem(str(source.piece.path), None, rule, fix))
            source.line += len(lines)
            if cells:
                return cells
        return []

    def rows(self, width: int) -> Iterator[list[str]]:
        """The rows of so many cells, with `source` at each; the others are reported."""
        source = self._source
        for lines, cells, problem in iter(partial(self._row, width), None):
            taken = len(lines)
            if taken > 1 and not self._ended(lines, width):
                taken, problem = 1, UNCLOSED
            if problem:
                source.broken(*problem, str(lines[0]))
            elif cells:
                yield cells
            else:
                source.offset -= 1  # a blank line is no row
            source.offset += 1
            source.line += taken

    def _row(self, width: int = 0) -> Row | None:
        """The next row, of so many cells if that is known; of a broken one its first line."""
        if self._ready:
            return self._ready.popleft()
        cells, problem = list[str](), None
        lines = self._lines.begin()
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except LongLineError:
            problem = ("too long", f"{int(lines[-1])} bytes")
        except csv.Error as error:
            problem = ("not a row", str(error))
            if cells := self._alone(str(lines[0])):
                problem = None
                self._lines.give_back(lines[1:])
                del lines[1:]
        if width and cells and len(cells) != width:
            problem = ("not a row", f"{len(cells)} cells below {width} names")
        if problem and len(lines) > 1:
            self._lines.give_back(lines[1:])
            lines, problem = lines[:1], UNCLOSED
        return lines, cells, problem

    def _alone(self, line: str) -> list[str]:
        """The cells of a line whose quotes are closed, if not as RFC 4180 has it."""
        rest = iter([line, ""])
        with suppress(csv.Error):
            cells = next(csv.reader(rest, **self._dialect))
            return cells if next(rest, None) is not None else []
        return []

    def _ended(self, lines: list[Line], width: int) -> bool:
        """Whether a row over several lines ended where it seems, by what comes behind it.

        If not, all lines but its first are given back.
        """
        behind = self._row(width)
        if behind is None or not behind[2]:
            self._ready.extend([behind] if behind else [])
            return True
        self._lines.give_back([*lines[1:], *behind[0]])
        taken, even = list[Line](), True
        while even and len(taken) < len(lines) and (row := self._row(width)):
            taken += row[0]
            quotes = "".join(map(str, row[0])).count(self._dialect["quotechar"])
            even = not row[2] and quotes % 2 == 0
        self._lines.give_back(taken)
        if not even:
            self._lines.drop(len(lines) - 1)
        return not even


FORMATS = (
    Format("CSV", partial(read, delimiter=",", quote='"'), (".csv",)),
    Format("TSV", partial(read, delimiter="\t", quote="none"), (".tsv",)),
)
