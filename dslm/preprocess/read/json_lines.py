"""JSON lines: a record in every line that is not blank.

A line is read by the fastest parser; one that it refuses is looked at again with Python's own,
which takes NaN and halves of surrogate pairs, and says what is wrong.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import orjson

from dslm.files.lines import skip_line, to_line
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.record import documents_of, steps
from dslm.preprocess.read.source import Source

REFUSED = object()


def read(source: Source) -> Iterator[Document]:
    """The documents of a piece of JSON lines.

    Raises:
        DataError: the file cannot be read.
        CutShortError: it is packed and not whole.
    """
    path = steps(source.reading.text_key)
    with source.opened() as file:
        for line in _lines(file, source):
            try:
                record, checked = orjson.loads(line), True
            except orjson.JSONDecodeError:
                record, checked = _second_look(line, source), False
            if record is not REFUSED:
                yield from documents_of(record, path, source, checked)


def _lines(file: io.BufferedReader, source: Source) -> Iterator[bytes]:
    """The lines of a piece that hold something and are not too long, with `source` at each."""
    source.offset = source.first = to_line(file, source.piece.start)
    widest, end = source.widest, source.end
    for line in iter(partial(file.readline, widest), b""):
        if source.offset >= end:
            return
        size = len(line)
        if size == widest and not line.endswith(b"\n"):
            size += skip_line(file)
            source.broken("too long", f"{size} bytes", line)
        elif not line.isspace():
            yield line
        source.offset += size
        source.line += 1


def _second_look(line: bytes, source: Source) -> Any:
    """The record in a line that is not quite JSON, or `REFUSED`."""
    text = source.decode(line)
    if text is None:
        return REFUSED
    if "\0" in text:
        source.broken("NUL bytes", "", text)
        return REFUSED
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        source.broken("not JSON", f"{error.msg} at column {error.colno}", text)
    except (ValueError, RecursionError) as error:  # a number too long, lists too deep
        source.broken("not JSON", str(error), text)
    return REFUSED


SUFFIXES = (".json", ".jsonl", ".ndjson")
JSON_LINES = Format("JSON lines", read, SUFFIXES, divisible=lambda _: True)
FORMATS = (JSON_LINES,)
