"""From a file on disk to a stream of UTF-8 bytes, in blocks.

    Metered (bytes of the file, counted) → Unpacked (decompressed) → Transcoded (to UTF-8)

Each of these is a raw stream with a buffer above it; one that has nothing to do is left out, so
that a plain UTF-8 file is seekable. Whatever goes wrong with the file itself is raised here, as
`CutShortError` or as a `DataError`, and never mistaken for an error of those who use the text.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from dslm.errors import DataError, Problem
from dslm.files.compression import COMPRESSIONS, DAMAGE, TOO_MUCH, ratio
from dslm.files.names import printable

BLOCK = 1 << 17
INVALID = "dslm.invalid"
"""Our name among the error handlers of `codecs`."""


class CutShortError(Exception):
    """A packed file ended too early or is damaged; what came before is good."""


def unreadable(path: Path, error: OSError) -> DataError:
    """The system's refusal to read a file, as a user's error."""
    return DataError(Problem(printable(str(path)), None, error.strerror or "cannot be read"))


def opened(
    path: Path,
    compression: str = "",
    encoding: str = "utf-8",
    meter: Callable[[int], None] | None = None,
) -> io.BufferedReader:
    """The content of a file as UTF-8; a byte order mark of UTF-8 is left in.

    Args:
        path: the file.
        compression: a key of `COMPRESSIONS`, or nothing.
        encoding: a codec of Python.
        meter: called with the bytes of text that have been read, estimated for a packed file.

    Raises:
        DataError: the file cannot be read; also later, from the stream.
        CutShortError: from the stream, when a packed file is not whole.
    """
    try:
        raw: io.RawIOBase = _Metered(path, meter, ratio(compression))
    except OSError as error:
        raise unreadable(path, error) from None
    if compression:
        raw = _Unpacked(io.BufferedReader(raw, BLOCK), compression, path)
    if encoding != "utf-8":
        raw = _Transcoded(io.BufferedReader(raw, BLOCK), encoding)
    return io.BufferedReader(raw, BLOCK)


def head(path: Path, compression: str, size: int) -> bytes:
    """The first bytes of a file's content, fewer where it is shorter or damaged."""
    found = b""
    with opened(path, compression) as file:
        try:
            while len(found) < size and (more := file.read1(size - len(found))):
                found += more
        except CutShortError:
            pass  # whoever reads the file will see it
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
    """The content of a packed file."""

    def __init__(self, below: BinaryIO, compression: str, path: Path) -> None:
        super().__init__(below)
        self._content: io.BufferedIOBase = COMPRESSIONS[compression].unpacked(below)
        self._compression, self._path = compression, path

    def more(self) -> bytes:
        try:
            return self._content.read1(BLOCK)  # `read` would lose what comes before the damage
        except DAMAGE as error:
            if any(sign in str(error) for sign in TOO_MUCH):
                rule, fix = "takes too much memory to unpack", "unpack it, or pipe it in as -"
                raise DataError(Problem(str(self._path), None, rule, fix)) from None
            raise CutShortError(f"not whole {self._compression}: {error}") from None
        except OSError as error:  # from bz2
            raise CutShortError(f"not whole {self._compression}: {error}") from None


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
