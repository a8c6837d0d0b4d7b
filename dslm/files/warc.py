"""Web archives (WARC 1.0 and 1.1, ISO 28500) as a stream of records, whatever is damaged in them.

A record is a version, headers, a blank line, as much content as ``Content-Length`` says, and two
line ends. Where that does not hold, the next version begins the next record: also
within what was taken for content, since a wrong length must not cost the records behind it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass

VERSION = re.compile(rb"WARC/\d\.\d+\r?\n")
LINE_ENDS = re.compile(rb"(\r?\n){0,2}")
ENDS = b"\r\n\r\n"
LONGEST_LINE = 1 << 16
MOST_HEADERS = 1 << 10


@dataclass(frozen=True)
class Record:
    """One record."""

    offset: int
    """The byte at which it begins."""
    headers: dict[str, str]
    """By name, in small letters."""
    content: bytes
    """What follows them."""


@dataclass(frozen=True)
class DamagedRecord:
    """A place at which no record can be read."""

    offset: int
    """The byte at which it begins."""
    reason: str
    """``cut short``, ``too long`` or ``not a WARC record``."""
    detail: str
    """What was found."""


class _UnfitError(Exception):
    """The reason and a detail, as in `DamagedRecord`."""


def records(file: io.BufferedReader, most: int) -> Iterator[Record | DamagedRecord]:
    """The records of an archive.

    Args:
        file: its content, packed or not.
        most: bytes of content beyond which a record is too long.
    """
    archive = _Archive(file, most)
    while archive.skip_blank():
        start = archive.position
        try:
            yield archive.record()
        except _UnfitError as unfit:
            yield DamagedRecord(start, *unfit.args)
            archive.to_next()
            continue
        if archive.torn:
            yield DamagedRecord(archive.position, "not a WARC record", "it begins within a line")
            archive.to_next()


class _Archive:
    """The bytes of an archive; those that were taken wrongly can be given back."""

    def __init__(self, file: io.BufferedReader, most: int) -> None:
        self._file, self._most, self._held = file, most, b""
        self.position = 0
        self.torn = False
        """Whether the last record was not followed by two line ends."""

    def skip_blank(self) -> bool:
        """Go to the next line that is not blank; False at the end."""
        while line := self._line():
            if not line.isspace():
                self._give_back(line)
                return True
        return False

    def record(self) -> Record:
        """The record that begins here.

        Raises:
            _UnfitError: it is damaged; what may be the next one has been given back.
        """
        start, self.torn = self.position, False
        if not VERSION.match(found := self._line()):
            self._give_back_version(found)
            raise _UnfitError("not a WARC record", f"found {found[:40]!r}")
        headers = self._headers()
        length = headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise _UnfitError("not a WARC record", f"its content-length is {length[:40]!r}")
        if int(length) > self._most:
            raise _UnfitError("too long", f"{length} bytes")
        content = self._take(int(length))
        behind = self._take(len(ENDS))
        ends = LINE_ENDS.match(behind)
        rest = behind[ends.end() :] if ends else behind
        if len(content) == int(length):
            good = not rest or ENDS.startswith(behind)
            fair = not VERSION.search(content + behind) and (rest != behind or rest == b"WARC")
            self.torn = not good and fair and not b"WARC".startswith(rest)
            if good or fair:
                self._give_back(rest)
                return Record(start, headers, content)
        taken = content + behind + self._line()
        self._give_back_version(taken)
        cut = len(content) < int(length)
        where = f"{len(content)} of {length} bytes" if cut else "its content-length is wrong"
        raise _UnfitError("cut short" if cut else "not a WARC record", where)

    def to_next(self) -> None:
        """Go to the next version, or to the end."""
        while (line := self._line()) and not self._give_back_version(line):
            pass

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(MOST_HEADERS):
            line = self._line()
            if line.strip() == b"" and line.endswith(b"\n"):
                return headers
            name, colon, value = line.decode("utf-8", "replace").partition(":")
            if b"WARC/" in line and self._give_back_version(line):
                break
            if not colon and not line.startswith((b" ", b"\t")):
                self._give_back(line)
                break
            headers[name.strip().lower()] = value.strip()
        raise _UnfitError("not a WARC record" if line else "cut short", "its headers do not end")

    def _line(self) -> bytes:
        end = self._held.find(b"\n") + 1
        line = self._held[:end] or self._held + self._file.readline(LONGEST_LINE)
        self._held = self._held[end:] if end else b""
        self.position += len(line)
        return line

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        taken += self._file.read(size - len(taken))
        self.position += len(taken)
        return taken

    def _give_back_version(self, taken: bytes) -> bool:
        """Give back what begins with the first version in it; False without one."""
        if begun := VERSION.search(taken):
            self._give_back(taken[begun.start() :])
        return begun is not None

    def _give_back(self, taken: bytes) -> None:
        self._held = taken + self._held
        self.position -= len(taken)
