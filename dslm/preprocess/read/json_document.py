"""A file that is one JSON value, read as a stream of its records.

The records are the elements of the list at the top, or of the first ``[]`` of the path that has
more behind it; without either, the file is one record. Only one record is held at a time. What is
damaged ends the file: nobody knows where the next record begins.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import ijson

from dslm.files.lines import to_line
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.record import LIST, documents_of, steps
from dslm.preprocess.read.source import Source

SIGNS = {"premature EOF": "cut short", "UTF8": "not UTF-8"}
"""Words of the parser's message, and the reason they stand for; otherwise it is ``not JSON``."""


class TooLongError(Exception):
    """A record has more bytes than may be held."""


def read(source: Source) -> Iterator[Document]:
    """The documents of a JSON file.

    Raises:
        DataError: the file cannot be read.
        CutShortError: it is packed and not whole.
    """
    source.unit, source.line = "record", 0
    with source.opened() as file:
        to_line(file, 0)
        where, path = _records(steps(source.reading.text_key), _is_list(file))
        bounded = _Bounded(file, source.widest)
        try:
            for record in ijson.items(bounded, where):
                bounded.restart()
                yield from documents_of(record, path, source)
                source.offset = source.line = source.line + 1
        except ijson.JSONError as error:
            message = str(error).partition("\n")[0].strip()
            reason = next((why for sign, why in SIGNS.items() if sign in message), "not JSON")
            source.broken(reason, message)
        except TooLongError:
            source.broken("too long", f"more than {source.widest} bytes")
        else:
            if where and not source.line:
                source.broken("no text key", f"no elements at {where.replace('.item', LIST)!r}")


def _is_list(file: io.BufferedReader) -> bool:
    return file.peek(1).lstrip().startswith(b"[")


def _records(path: list[str], is_list: bool) -> tuple[str, list[str]]:
    """Where the records are, in the words of ijson, and the path within a record."""
    if is_list and path[:1] != [LIST]:
        path = [LIST, *path]
    lists = [at for at, step in enumerate(path) if step == LIST]
    if not lists or (lists[0] == len(path) - 1 and not is_list):
        return "", path
    behind = lists[0] + 1
    where = ".".join("item" if step == LIST else step for step in path[:behind])
    return where, path[behind:]


class _Bounded:
    """A file that gives up when a record does not end."""

    def __init__(self, file: io.BufferedReader, most: int) -> None:
        self._file, self._most, self._read = file, most, 0

    def restart(self) -> None:
        """A record has ended."""
        self._read = 0

    def read(self, size: int) -> bytes:
        """Some bytes."""
        block = self._file.read1(size)
        self._read += len(block)
        if self._read > self._most:
            raise TooLongError
        return block


JSON_DOCUMENT = Format("JSON", read)
FORMATS = (JSON_DOCUMENT,)
