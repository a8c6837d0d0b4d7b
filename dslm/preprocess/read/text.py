"""Plain text: one document a file, a block between blank lines, or a line.

The bytes of a document are gathered, cut where they are more than a document may have, then
decoded. Lines and blocks end as in Unix, Windows and the old Macintosh, also within one file; in a
document all these line ends are line feeds. Byte order marks that joining files has left within the
text are taken out.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial

from dslm.files.lines import to_block, to_line
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import BYTES_OF_CHARACTER, Source

MARK = "\ufeff"
CRLF = "\r\n"


def read(source: Source) -> Iterator[Document]:
    """The documents of a piece of plain text.

    Raises:
        DataError: the file cannot be read.
    """
    mode = source.reading.documents
    with source.opened(any_line_ends=mode != "file") as file:
        for raw in MODES[mode](file, source):
            text = source.decode(raw)
            if text is not None and MARK in text:
                source.counts["byte order marks removed"] += 1
                text = text.replace(MARK, "")
            if text is not None and "\r" in text:
                source.counts[f"{'CRLF' if CRLF in text else 'CR'} read as LF"] += 1
                text = text.replace(CRLF, "\n").replace("\r", "\n")
            if text is not None and (document := source.document(text)):
                yield document


def _file(file: io.BufferedReader, source: Source) -> Iterator[bytes]:
    source.offset = to_line(file, 0)
    if not file.peek(1) and not source.damaged:
        yield b""  # an empty file is reported as an empty document
    yield from _parts(file.read, source)


def _lines(file: io.BufferedReader, source: Source) -> Iterator[bytes]:
    source.offset = source.first = to_line(file, source.piece.start)
    longest, end = source.reading.longest, source.end
    for line in iter(partial(file.readline, longest), b""):
        if source.offset >= end:
            return
        if line.endswith(b"\n"):
            yield line.rstrip(b"\r\n")
            source.offset += len(line)
            source.line += 1
        else:  # the last line, or one that goes on
            more = _gathered(_rest_of_line(file, line, longest))
            yield from (part.rstrip(b"\r\n") for part in _parts(more, source))


def _blocks(file: io.BufferedReader, source: Source) -> Iterator[bytes]:
    source.offset = source.first = to_block(file, source.piece.start)
    longest, end = source.reading.longest, source.end
    for line in iter(partial(file.readline, longest), b""):
        if line.isspace():
            source.offset += len(line)
            source.line += line.count(b"\n")
            continue
        if source.offset >= end:
            return
        more = _gathered(_rest_of_block(file, line, longest))
        yield from (part.rstrip() for part in _parts(more, source))


MODES: dict[str, Callable[[io.BufferedReader, Source], Iterator[bytes]]] = {
    "file": _file,
    "block": _blocks,
    "line": _lines,
}


def _rest_of_line(file: io.BufferedReader, part: bytes, most: int) -> Iterator[bytes]:
    yield part
    while not part.endswith(b"\n") and (part := file.readline(most)):
        yield part


def _rest_of_block(file: io.BufferedReader, line: bytes, most: int) -> Iterator[bytes]:
    """The lines of a block and the blank one behind it."""
    yield line
    begins = line.endswith(b"\n")
    while line := file.readline(most):
        yield line
        if begins and line.isspace():
            return
        begins = line.endswith(b"\n")


def _gathered(found: Iterator[bytes]) -> Callable[[int], bytes]:
    """Something like `read`: called with a number of bytes, it gives at least so many."""

    def more(most: int) -> bytes:
        taken = []
        for part in found:
            taken.append(part)
            most -= len(part)
            if most <= 0:
                break
        return b"".join(taken)

    return more


def _parts(more: Callable[[int], bytes], source: Source) -> Iterator[bytes]:
    """A document, cut in several where it is too long, with `source` at each.

    Args:
        more: gives some more of its bytes, none at its end.
        source: where the document begins; afterwards where it ends.
    """
    longest, number, ended, held = source.reading.longest, 0, False, b""
    while held or not ended:
        while not ended and not _is_more(held, longest):
            further = more(longest)
            held, ended = held + further, not further
        part = held if ended and len(held) <= longest else _part(held, longest)
        if part and not (number and part.isspace()):
            number += 1
            if number == 2:
                source.counts["cut"] += 1
            yield part
        source.offset += len(part)
        source.line += part.count(b"\n")
        held = held[len(part) :]


def _is_more(held: bytes, longest: int) -> bool:
    """Whether bytes are more than a document may have, even without a character cut at the end."""
    most = longest + BYTES_OF_CHARACTER
    return len(held) > most and len(held.decode("utf-8", "surrogateescape")) > most


def _part(held: bytes, longest: int) -> bytes:
    """The first part of a document: to the last paragraph, line or word that fits."""
    text = held.decode("utf-8", "surrogateescape")  # keeps what is invalid, and its length
    if len(text) <= longest:
        return held
    least = longest // 2  # no small parts for the sake of a good end
    ends = (text.rfind(end, least, longest) + len(end) for end in ("\n\n", "\n\r\n", "\n", " "))
    best = next((end for end in ends if end > least), longest)
    best -= text[best - 1 : best + 1] == CRLF  # a line end is not cut in two
    return text[:best].encode("utf-8", "surrogateescape")


TEXT = Format("text", read, (".txt",), divisible=lambda reading: reading.documents != "file")
FORMATS = (TEXT,)
