"""A piece while it is read: what a reader of any format needs, and the rules that all share.

A reader keeps `offset` and `line` at the record it is looking at; text goes through `decode` (bytes
to text, by the user's policy) and `document` (text to a document, or a rejection).
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dslm.files.encoding import encoding_of
from dslm.files.names import printable
from dslm.files.streams import opened, universal
from dslm.preprocess.document import Document, Reject, Rejected
from dslm.preprocess.read.reading import ReadingConfig
from dslm.progress import Meter

BYTES_OF_CHARACTER = 4
"""At most, in UTF-8."""
REST_OF_RECORD = 1 << 16
"""Bytes allowed for what a record of JSON holds beside its text."""
SHOWN = 200
"""Characters of a broken record that are shown with it."""


@dataclass(frozen=True)
class Piece:
    """A part of an input that one worker reads: a range of its bytes or rows; see `pieces`."""

    input: int
    """The number of the input."""
    path: Path
    """The input."""
    start: int = 0
    """The first byte of plain text or JSON lines, the first row of a table."""
    end: int | None = None
    """The byte or row after the last one; the last piece of an input has no end."""
    text_bytes: int = 0
    """Bytes of text, estimated for what is packed; those of all pieces of an input add up to
    `text_bytes` of it."""


@dataclass
class Source:
    """A piece, the user's choices about it, and how far its reader has come."""

    piece: Piece
    compression: str
    """How its file is packed: a key of `COMPRESSIONS`, or nothing."""
    reading: ReadingConfig
    reject: Reject
    counts: Counter[str]
    """Documents that were changed: `replaced` for what was not Unicode, `cut` for too long ones."""
    meter: Meter
    unit: str = "line"
    """What `line` counts."""
    offset: int = 0
    """As `Document.offset`."""
    line: int = 1
    """The number of the record's first line; from 1 at `first`."""
    first: int = 0
    """The byte at which the piece's first line begins."""
    base: int = 0
    """The byte at which a file within an archive begins."""
    content: io.BufferedReader | None = None
    """The content of a file within an archive, as UTF-8."""
    _before: int | None = field(default=None, repr=False)
    _file: io.BufferedReader | None = field(default=None, repr=False)
    _damages: list[tuple[int, str]] = field(default_factory=list, repr=False)

    @property
    def end(self) -> float:
        """The offset at which the next piece begins."""
        return float("inf") if self.piece.end is None else self.piece.end

    @property
    def widest(self) -> int:
        """Bytes beyond which a record is too long to be looked at."""
        return self.reading.longest * BYTES_OF_CHARACTER + REST_OF_RECORD

    def opened(self, any_line_ends: bool = False) -> io.BufferedReader:
        """The content of the file as UTF-8, from its beginning; see `files.streams.Damaged`.

        Args:
            any_line_ends: read a carriage return alone as a line feed.
        """
        file, path, packing = self.content, self.piece.path, self.compression
        if file is None:
            encoding = self.taken_for(encoding_of(path, packing, self.reading.detects))
            file = opened(path, packing, encoding, self.meter, self.damage)
        self._file = universal(file) if any_line_ends else file
        return self._file

    def taken_for(self, encoding: str) -> str:
        """Count a file that is not read as UTF-8; gives the encoding."""
        if encoding != "utf-8":
            self.counts[f"read as {encoding}"] += 1
        return encoding

    @property
    def damaged(self) -> bool:
        """Whether a damaged place of a packed file has been met and not been counted yet."""
        return bool(self._damages)

    def damage(self, place: int, what: str) -> None:
        """Take note of a damaged place; see `files.streams.Damaged`."""
        self._damages.append((place, what))

    def next_damage(self) -> str:
        """What is wrong at the next damaged place, which is counted now; nothing without one."""
        return self._damages.pop(0)[1] if self._damages else ""

    def finish(self) -> None:
        """Count the damaged places of a packed file at which no record was known to be broken."""
        while self._damages:
            self.broken("cut short")

    def _passed_damage(self) -> bool:
        """Whether the reader of lines has just come to a damaged place."""
        if not self._damages or self.unit != "line" or self._file is None:
            return False
        return self._file.closed or self._file.tell() >= self._damages[0][0]

    def document(self, text: str) -> Document | None:
        """A document of text; `None` when it was rejected."""
        while self._damages and self._passed_damage():
            self.broken("cut short")
        if len(text) > self.reading.longest:
            self.broken("too long", f"{len(text)} characters", text)
        elif "\0" in text:
            self.broken("NUL bytes", "", text)
        elif not text or text.isspace():
            self.rejected("empty")
        else:
            return Document(text, self.piece.input, self.base + self.offset)
        return None

    def decode(self, raw: bytes) -> str | None:
        """UTF-8 as text; `None` when it was rejected."""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"byte {self.offset + error.start} (0x{raw[error.start]:02x})"
            text = raw.decode("utf-8", "replace")
        return text if self._may_replace("not UTF-8", found, text) else None

    def whole(self, text: str) -> str | None:
        """A text out of JSON without half surrogate pairs, which no UTF-8 can hold."""
        try:
            text.encode("utf-8")
            return text
        except UnicodeEncodeError as error:
            found = f"U+{ord(text[error.start]):04X}"
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return text if self._may_replace("half a surrogate pair", found, text) else None

    def _may_replace(self, reason: str, found: str, text: str) -> bool:
        """What the user wants done about a text with U+FFFD where it is wrong."""
        policy = self.reading.invalid_utf8
        if policy == "replace":
            self.counts["replaced"] += 1
        elif policy == "refuse":
            self.broken(reason, found, text)
        else:
            self.rejected(reason, text)
        return policy == "replace"

    def rejected(self, reason: str, text: str = "") -> None:
        """Leave out the record, which is not wanted."""
        self.reject(Rejected(self.piece.input, self.base + self.offset, reason, text=text))

    def broken(self, reason: str, detail: str = "", record: str | bytes = "") -> None:
        """Leave out the record, which cannot be read.

        Args:
            reason: a few words from a fixed list.
            detail: what was found; the line is put before it.
            record: its beginning, as text or bytes.

        A record that ends at a damaged place of a packed file is counted once, as that.
        """
        here = reason == "cut short" or self.unit != "line" or self._passed_damage()
        if self._damages and here:
            reason, detail = "cut short", self.next_damage()
        start = record[: SHOWN * BYTES_OF_CHARACTER]
        shown = start.decode("utf-8", "replace") if isinstance(start, bytes) else start
        where = f"{self.unit} {self.line + self._lines_before()}"
        detail = f"{where}: {detail}" if detail else where
        if self.content is not None:
            detail = f"{printable(self.piece.path.name)}, {detail}"
        place, text = self.base + self.offset, shown[:SHOWN]
        self.reject(Rejected(self.piece.input, place, reason, detail, text, broken=True))

    def _lines_before(self) -> int:
        """Lines of the file before the piece, counted only when a line must be named."""
        if self._before is None:
            self._before, left = 0, self.first
            if not left or self.content is not None:
                return 0
            with universal(opened(self.piece.path)) as file:
                while left and (block := file.read(min(left, io.DEFAULT_BUFFER_SIZE << 7))):
                    self._before += block.count(b"\n")
                    left -= len(block)
        return self._before
