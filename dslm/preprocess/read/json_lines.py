"""JSON lines: a record in every line that is not blank.

A line is read by the fastest parser. One that it refuses is looked at again as a stream of JSON,
which may hold several records, marks between them, NaN and halves of surrogate pairs; or as the
first line of a record whose text holds line ends.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson

from dslm.files.json_stream import LIST
from dslm.files.json_text import BLOCK, DECODER
from dslm.files.lines import skip_line, to_line
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.record import documents_of, steps, streamed
from dslm.preprocess.read.source import Source

START = re.compile(rb"[\s,\x1e]*(?:\xef\xbb\xbf)?[{\[]")
"""How a line begins with which a record may begin; another one belongs to the record before."""
BESIDE = " \t\r\n,\x1e\ufeff"
"""What may stand before and behind a record."""


def read(source: Source) -> Iterator[Document]:
    """The documents of a piece of JSON lines.

    Raises:
        DataError: the file cannot be read.
    """
    path = steps(source.reading.text_key)
    with source.opened() as file:
        ahead: deque[bytes] = deque()
        for line in _lines(file, source, ahead):
            try:
                records = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield from _second_look(line, file, ahead, path, source)
                continue
            for record in _records(records, path):
                yield from documents_of(record, path, source, line)


def _records(value: Any, path: list[str]) -> list[Any]:
    """The elements of a list, where the path does not begin with one."""
    return value if isinstance(value, list) and path[:1] != [LIST] else [value]


def _lines(file: io.BufferedReader, source: Source, ahead: deque[bytes]) -> Iterator[bytes]:
    """The lines of a piece that hold something, with `source` at each; of a long one its begin."""
    source.offset = source.first = to_line(file, source.piece.start)
    is_ours, end = not source.piece.start, source.end
    while line := ahead.popleft() if ahead else file.readline(source.widest):
        if source.offset >= end and START.match(line):
            return
        if is_ours or START.match(line):
            is_ours = True
            if not line.isspace():
                yield line
            source.line += 1
        elif not line.endswith(b"\n"):
            source.offset += skip_line(file)
        source.offset += len(line)
        if not is_ours:
            source.first = source.offset


def _second_look(
    line: bytes, file: io.BufferedReader, ahead: deque[bytes], path: list[str], source: Source
) -> Iterator[Document]:
    """The documents in a line that is not quite JSON; `source` goes to its last line."""
    is_long = len(line) == source.widest and not line.endswith(b"\n")
    if not is_long and START.match(line) and (whole := _joined(line, file, ahead, source)):
        value, held = whole
        for record in _records(value, path):
            yield from documents_of(record, path, source, line, checked=False)
        source.offset += sum(map(len, held[1:]))
        source.line += len(held) - 1
        return
    parts = _parts(line, file) if is_long else iter([line])
    sizes = list[int]()

    def more() -> bytes:
        part = next(parts, b"")
        sizes.append(len(part))
        return part

    found = streamed(more, path, source, walks=is_long or LIST in path[:-1], cut="not JSON")
    yield from (document for document in found if document)
    source.offset += sum(sizes) - len(line)


def _parts(line: bytes, file: io.BufferedReader) -> Iterator[bytes]:
    """A line of which the beginning has been read."""
    while line:
        yield line
        line = b"" if line.endswith(b"\n") else file.readline(BLOCK)


def _joined(
    line: bytes, file: io.BufferedReader, ahead: deque[bytes], source: Source
) -> tuple[Any, list[bytes]] | None:
    """The record that begins with a line and goes on in those behind it, and all these lines."""
    held, size = [line], len(line)
    while size <= source.widest:
        behind = ahead.popleft() if ahead else file.readline(source.widest)
        if not behind or START.match(behind):
            ahead.extendleft([behind] if behind else [])
            break
        held.append(behind)
        size += len(behind)
    if len(held) > 1:
        for whole in (b"".join(held), b"".join(part.rstrip(b"\r\n") for part in held)):
            with suppress(ValueError, RecursionError):
                return DECODER.decode(whole.decode().strip(BESIDE)), held
    ahead.extendleft(reversed(held[1:]))
    return None


SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonlines", ".jl", ".json-seq")
JSON_LINES = Format("JSON lines", read, SUFFIXES, divisible=lambda _: True)
FORMATS = (JSON_LINES,)
