"""From a file on disk to a stream of UTF-8 bytes, in blocks.

    Metered (bytes of the file, counted) → Unpacked (decompressed) → Transcoded (to UTF-8)

Each of these is a raw stream with a buffer above it; one that has nothing to do is left out, so
that a plain UTF-8 file is seekable. Whatever goes wrong with the file itself is raised or reported
here, and never mistaken for an error of those who use the text.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from dslm.errors import DataError, Problem
from dslm.files.compression import TooMuchMemoryError, ratio, unpacked
from dslm.files.names import printable

BLOCK = 1 << 17
LONE = re.compile(rb"\r(?!\n)")
INVALID = "dslm.invalid"
"""Our name among the error handlers of `codecs`."""
WIDE = ("utf-16", "utf-32")
"""Encodings in which nobody knows where a character begins after a damaged place."""

Damaged = Callable[[int, str], None]
"""Called at a damaged place of a packed file: with the byte of the content at which it lies, and
what is wrong. What came before is good; what follows begins a line."""


class CutShortError(Exception):
    """A packed file ended too early or is damaged, and nobody wants what can be had of it."""


def _refuse(place: int, what: str) -> None:
    raise CutShortError(what)


def unreadable(path: Path, error: OSError) -> DataError:
    """The system's refusal to read a file, as a user's error."""
    return DataError(Problem(printable(str(path)), None, error.strerror or "cannot be read"))


def opened(
    path: Path,
    compression: str = "",
    encoding: str = "utf-8",
    meter: Callable[[int], None] | None = None,
    damaged: Damaged = _refuse,
) -> io.BufferedReader:
    """The content of a file as UTF-8; a byte order mark of UTF-8 is left in.

    Args:
        path: the file.
        compression: a key of `COMPRESSIONS`, or nothing.
        encoding: a codec of Python.
        meter: called with the bytes of text that have been read, estimated for a packed file.
        damaged: what to do about a packed file that is not whole.

    Raises:
        DataError: the file cannot be read; also later, from the stream.
        CutShortError: from the stream, unless `damaged` is given.
    """
    try:
        raw: io.RawIOBase = _Metered(path, meter, ratio(compression))
    except OSError as error:
        raise unreadable(path, error) from None
    return layered(io.BufferedReader(raw, BLOCK), compression, encoding, damaged, path)


def layered(
    file: io.BufferedReader, compression: str, encoding: str, damaged: Damaged, path: Path
) -> io.BufferedReader:
    """The same for a file that is open, which can be sought where it is packed."""
    if compression:
        wide = encoding in WIDE
        file = io.BufferedReader(_Unpacked(file, compression, path, damaged, wide), BLOCK)
    if encoding != "utf-8":
        file = io.BufferedReader(_Transcoded(file, encoding), BLOCK)
    return file


def universal(file: io.BufferedReader) -> io.BufferedReader:
    """The same bytes with a line feed for every carriage return that ends a line alone."""
    return io.BufferedReader(_LineEnds(file), BLOCK)


def head(path: Path, compression: str, size: int) -> bytes:
    """The first bytes of a file's content, fewer where it is shorter or damaged."""
    found = b""
    with opened(path, compression, damaged=lambda *_: None) as file:
        while len(found) < size and (more := file.read1(size - len(found))):
            found += more
    return found


class _Metered(io.FileIO):
    """A file that reports how much of it has been read."""

    def __init__(self, path: Path, meter: Callable[[int], None] | None, ratio: int) -> None:
        super().__init__(path, "rb")
        self._path, self._meter, self._ratio = path, meter, ratio

    def readinto(self, buffer: Any, /) -> int | None:
        try:
            amount = super().readinto(buffer)
        except OSError as error:
            raise unreadable(self._path, error) from None
        if self._meter and amount:
            self._meter(amount * self._ratio)
        return amount


class _Wrapper(io.RawIOBase):
    """A stream above another one, which it closes; bytes are handed on as they come."""

    def __init__(self, below: BinaryIO) -> None:
        self._below, self._position, self._left = below, 0, memoryview(b"")

    def more(self) -> bytes:
        """Some bytes; none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        if not self._left:
            self._left = memoryview(self.more())
        amount = min(len(buffer), len(self._left))
        buffer[:amount] = self._left[:amount]
        self._left = self._left[amount:]
        self._position += amount
        return amount

    def close(self) -> None:
        self._below.close()
        super().close()


class _Unpacked(_Wrapper):
    """The content of a packed file, without a character that is cut in two at a damaged place."""

    def __init__(
        self, below: BinaryIO, compression: str, path: Path, damaged: Damaged, wide: bool
    ) -> None:
        super().__init__(below)
        self._path, self._damaged, self._wide = path, damaged, wide
        self._blocks = unpacked(below, compression, self._break)
        self._half, self._broken = b"", False

    def more(self) -> bytes:
        block = self._next()
        if not block or (self._broken and self._wide):
            rest, self._half = self._half, b""
            return rest
        block = (b"\n" if self._broken else self._half) + block
        whole = len(block) - _half_a_character(block)
        self._half, self._broken = block[whole:], False
        return block[:whole] or self.more()

    def _next(self) -> bytes:
        try:
            return next(self._blocks, b"")
        except TooMuchMemoryError:
            rule, fix = "takes too much memory to unpack", "unpack it, or pipe it in as -"
            raise DataError(Problem(str(self._path), None, rule, fix)) from None

    def _break(self, what: str) -> None:
        self._half, self._broken = b"", True
        self._damaged(self._position, what)


def _half_a_character(block: bytes) -> int:
    """The bytes at the end of a block that begin a character of UTF-8 without ending it."""
    for number, byte in enumerate(reversed(block[-3:]), 1):
        if byte >= 0xC0:
            return number if number < 2 + (byte >= 0xE0) + (byte >= 0xF0) else 0
        if byte < 0x80:
            break
    return 0


class _LineEnds(io.RawIOBase):
    """A stream whose lines end in a line feed, alone or behind a carriage return."""

    def __init__(self, below: io.BufferedReader) -> None:
        self._below = below

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._below.seekable()

    def seek(self, place: int, whence: int = io.SEEK_SET, /) -> int:
        return self._below.seek(place, whence)

    def tell(self) -> int:
        return self._below.tell()

    def close(self) -> None:
        self._below.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        block = self._below.read1(len(buffer))
        if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
            if block.endswith(b"\r") and self._below.peek(1).startswith(b"\n"):
                block = LONE.sub(b"\n", block[:-1]) + b"\r"
            else:
                block = LONE.sub(b"\n", block)
        buffer[: len(block)] = block
        return len(block)


class _Transcoded(_Wrapper):
    """A text of another encoding as UTF-8; what is invalid there is invalid UTF-8 here."""

    def __init__(self, below: BinaryIO, encoding: str) -> None:
        super().__init__(below)
        codecs.register_error(INVALID, _invalid)
        self._decoder = codecs.getincrementaldecoder(encoding)(INVALID)

    def more(self) -> bytes:
        text, block = "", b"x"
        while block and not text:
            block = self._below.read(BLOCK)
            text = self._decoder.decode(block, final=not block)
        return text.encode("utf-8", "surrogateescape")


def _invalid(error: UnicodeError) -> tuple[str, int]:
    """Half a surrogate pair, which `surrogateescape` turns into the byte 0xFF."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end
