"""Tar archives: each file in them is read as what it is, without being written anywhere.

Neighbours whose paths agree up to the first dot of the name are one record, as in WebDataset
(github.com/webdataset/webdataset): its text is that of its ``.txt``, beside which a ``.json`` only
says something about it, or else that of its ``.json``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from dslm.errors import DataError
from dslm.files.compression import compression_of
from dslm.files.encoding import encoding_in
from dslm.files.sniff import HEAD
from dslm.files.streams import layered
from dslm.files.tar import MAGIC, MAGIC_AT, DamagedEntry, Entry, entries
from dslm.preprocess.document import Document
from dslm.preprocess.read.columnar import FORMATS as TABLES
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import Source

NUMBERS = ("cls", "cls2", "count", "id", "index", "inx")
"""Ends of the names under which WebDataset keeps numbers of a record, which are no text."""


@dataclass
class _Record:
    """Neighbours of one key."""

    key: str
    has_text: bool = False
    """Whether a text was among them."""
    about: tuple[Entry, bytes] | None = None
    """A ``.json`` that is the record unless a ``.txt`` follows."""
    unread: int | None = None
    """Where something begins that is no text."""


def read(source: Source) -> Iterator[Document]:
    """The documents of the files in an archive.

    Raises:
        DataError: the archive cannot be read, or a table in it has no such column.
    """
    source.unit, source.line = "entry", 0
    record = _Record("")
    with source.opened() as file:
        for entry in entries(file):
            source.offset, source.line = entry.offset, source.line + 1
            if isinstance(entry, DamagedEntry):
                source.broken(entry.reason)
                continue
            path = PurePosixPath(entry.name)
            if any(part.startswith(".") and part != ".." for part in path.parts):
                continue
            stem, _, end = path.name.lower().partition(".")
            if record.key != (key := f"{path.parent}/{stem}"):
                yield from _finished(record, source)
                record = _Record(key)
            if end in NUMBERS:
                record.unread = entry.offset
                continue
            if end == "json" and record.has_text:
                continue
            if end == "json" and not record.about and entry.size <= source.widest:
                entry.damaged = lambda *_: None  # seen by `whole`
                record.about = entry, io.BufferedReader(entry).read()
                continue
            if end == "txt":
                record.about, record.has_text = None, True
            yield from _entry(entry, None, record, source)
        yield from _finished(record, source)


def _finished(record: _Record, source: Source) -> Iterator[Document]:
    """What a record is when nothing more of it comes."""
    if record.about:
        for document in _entry(*record.about, record, source):
            record.has_text = True
            yield document
    if record.unread is not None and not record.has_text:
        source.offset = record.unread
        source.rejected("no text")


def _entry(entry: Entry, held: bytes | None, record: _Record, source: Source) -> Iterator[Document]:
    """The documents of a file, whose content may be held already."""

    def cut_short(place: int, what: str) -> None:
        inner.damage(place, source.next_damage() or what)

    path = source.piece.path / entry.name
    inner = Source(
        replace(source.piece, path=path),
        "",
        source.reading,
        source.reject,
        source.counts,
        source.meter,
        base=entry.offset,
    )
    entry.damaged = cut_short
    raw: Any = entry if held is None else io.BytesIO(held)
    file: io.BufferedReader = io.BufferedReader(raw, HEAD)
    if packing := compression_of(file.peek(HEAD)):
        if entry.size > source.widest:
            source.broken("too long", f"{entry.size} bytes")
            return
        raw = io.BytesIO(file.read())
        file = layered(io.BufferedReader(raw), packing, "utf-8", inner.damage, path)
    start = file.peek(HEAD)
    form = _form(path, start, packing)
    if form is None:
        record.unread = entry.offset
        record.has_text &= path.suffix.lower() != ".txt"
        return
    encoding = inner.taken_for(encoding_in(start, inner.reading.detects))
    inner.content = layered(file, "", encoding, inner.damage, path)
    if held is not None and not entry.whole:
        cut_short(len(held), f"{entry.size - len(held)} bytes are missing")
    yield from form.read(inner)
    inner.finish()
    entry.damaged = None


def _form(path: Path, start: bytes, packing: str) -> Format | None:
    """The format of a file, if it is one that can be read as a stream."""
    from dslm.preprocess.read.kinds import format_of  # which knows all readers, this one too

    try:
        form = format_of(path, start, packing)
    except DataError:
        return None
    return None if form in TABLES else form


TAR = Format("tar", read, (".tar", ".tgz"), magic=MAGIC, magic_at=MAGIC_AT)
FORMATS = (TAR,)
