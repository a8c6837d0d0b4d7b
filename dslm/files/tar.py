"""Tar archives as a stream of files, whatever is damaged in them; nothing is written to a disk.

Headers are those of POSIX.1-1988 (ustar), of POSIX.1-2001 (pax) and of GNU. Where no valid header
stands, the next one is looked for at every byte, also in what was taken for content: an archive may
lack some bytes.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dslm.files.streams import Damaged

BLOCK = 512
MAGIC, MAGIC_AT = b"ustar", 257
"""What stands in a header, and where."""
TAIL = 1 << 16
"""Bytes of content in which a header is looked for that came too early."""
LONGEST_NAME = 1 << 20
ABOUT = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
"""Types of entries that say something of the next ones."""
WITHOUT_CONTENT = tuple(bytes([kind]) for kind in b"123456")
"""Types of links, devices and folders."""
PATH = re.compile(rb"^\d+ path=(.*)$", re.MULTILINE)
SIZE = re.compile(rb"^\d+ size=(\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class DamagedEntry:
    """A place at which no header can be read."""

    offset: int
    """The byte at which it begins."""
    reason: str
    """``cut short`` or ``not a tar entry``."""


class Entry(io.RawIOBase):
    """A file in an archive, open until the next one is asked for.

    Attributes:
        name: its path.
        offset: the byte of the archive at which its content begins.
        size: bytes of its content.
        damaged: called where the content ends too early.
        whole: whether it has not ended too early so far.
        reported: whether `damaged` was called.
    """

    def __init__(self, archive: _Archive, name: str, size: int) -> None:
        self._archive, self.name, self.size = archive, name, size
        self.offset, self._left = archive.position, size
        self.damaged: Damaged | None = None
        self.whole, self.reported = True, False

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The byte of its content that comes next."""
        return self.size - self._left

    def readinto(self, buffer: Any, /) -> int:
        """Some more of its content; see `io.RawIOBase`."""
        wanted = min(len(buffer), self._left)
        taken = self._archive.take(wanted)
        buffer[: len(taken)] = taken
        self._left -= len(taken)
        if len(taken) < wanted and self.whole:
            self.whole, self.reported = False, self.damaged is not None
            if self.damaged:
                self.damaged(self.size - self._left, f"{self._left} bytes are missing")
        return len(taken)

    def skip(self) -> None:
        """Pass what has not been read, and the padding."""
        self._left += -self.size % BLOCK
        buffer = bytearray(TAIL)
        while self._left and self.readinto(buffer):
            pass


def entries(file: io.BufferedReader) -> Iterator[Entry | DamagedEntry]:
    """The files of an archive; folders, links and devices are passed.

    Args:
        file: its content.
    """
    archive, name, size, ended = _Archive(file), b"", -1, False
    zeros, signed = -1, False
    while header := archive.take(BLOCK):
        start = archive.position - len(header)
        if not header.strip(b"\0"):  # the end, or another archive follows
            ended, zeros = True, start if zeros < 0 else zeros
            continue
        is_lost = zeros >= 0 and start % tarfile.RECORDSIZE  # archives end where a record does
        begins, zeros = start if zeros < 0 else zeros, -1
        found, is_signed = _header(header), header.startswith(MAGIC, MAGIC_AT)
        if found and is_lost:
            yield DamagedEntry(begins, "not a tar entry")
        if found is None or (signed and not is_signed):
            yield DamagedEntry(begins, "cut short" if len(header) < BLOCK else "not a tar entry")
            ended = archive.to_next()
            continue
        signed |= is_signed
        archive.tail = b""
        if found.type in ABOUT and found.size <= LONGEST_NAME:
            about = archive.take(found.size + -found.size % BLOCK)[: found.size]
            if found.type == tarfile.XHDTYPE:
                path, sizes = PATH.search(about), SIZE.search(about)
                name, size = path[1] if path else name, int(sizes[1]) if sizes else size
            elif found.type == tarfile.GNUTYPE_LONGNAME:
                name = about.rstrip(b"\0")
            continue
        size = 0 if found.type in WITHOUT_CONTENT else size if size >= 0 else max(found.size, 0)
        entry = Entry(archive, name.decode("utf-8", "backslashreplace") or found.name, size)
        if found.type == tarfile.GNUTYPE_SPARSE:
            yield DamagedEntry(start, "not a tar entry")
        elif found.isreg():
            yield entry
        entry.skip()
        name, size, ended = b"", -1, not entry.whole
        if not entry.whole and not entry.reported:
            yield DamagedEntry(start, "cut short")
    if not ended:
        yield DamagedEntry(archive.position, "cut short")


class _Archive:
    """The bytes of an archive; some of those that were taken can be given back."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file, self._held = file, b""
        self.position, self.tail = 0, b""

    def take(self, size: int) -> bytes:
        """So many bytes, fewer at the end."""
        taken, self._held = self._held[:size], self._held[size:]
        taken += self._file.read(size - len(taken))
        self.position += len(taken)
        self.tail = (self.tail + taken)[-TAIL:]
        return taken

    def to_next(self) -> bool:
        """Go to the next valid header; gives whether there is none."""
        held = self.tail
        start, seen = self.position - len(held), 0
        while True:
            at = held.find(MAGIC, seen) - MAGIC_AT
            if at + MAGIC_AT < 0 or at + BLOCK > len(held):
                more = self._file_or_held()
                if not more:
                    return True
                passed = max(len(held) - BLOCK, 0)
                held, start, seen = held[passed:] + more, start + passed, max(seen - passed, 0)
            elif at >= 0 and _header(held[at : at + BLOCK]):
                self._held, self.position, self.tail = held[at:] + self._held, start + at, b""
                return False
            else:
                seen = at + MAGIC_AT + 1

    def _file_or_held(self) -> bytes:
        more, self._held = self._held or self._file.read(TAIL), b""
        return more


def _header(header: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return None
