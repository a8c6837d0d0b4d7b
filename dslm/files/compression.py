"""Compressed files: how each kind is recognised, opened, and known to be damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from backports import zstd
from isal import igzip, isal_zlib

MOST_MEMORY = 1 << 28
"""Bytes that unpacking may take: ``xz -9`` takes 65 MB, but a file may ask for any amount."""
WIDEST_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 27}
"""128 MiB, that of ``zstd --long``; a file made with ``--long=31`` would take 2 GiB."""
TOO_MUCH = ("Memory usage limit exceeded", "requires too much memory")
"""What the libraries say of a file that would take more."""

DAMAGE = (
    EOFError,
    gzip.BadGzipFile,
    cast("type[Exception]", isal_zlib.error),
    lzma.LZMAError,
    zlib.error,
    zstd.ZstdError,
)
"""What the openers raise for a file that is cut short or damaged; bz2 has only `OSError`."""


@dataclass(frozen=True)
class Compression:
    """One way in which a file is packed."""

    magic: re.Pattern[bytes]
    """How such a file begins."""
    unpacked: Callable[[BinaryIO], Any]
    """From the packed file to its content; members one behind the other are one content."""
    ratio: int
    """Bytes of text in a byte of the file, about; progress and pieces are measured with it."""


class _Xz:
    """The content of an xz file; `lzma.LZMAFile` knows no limit of memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._packed = file, b""
        self._stream: lzma.LZMADecompressor | None = None

    def read1(self, size: int) -> bytes:
        """Some bytes; none at the end."""
        while True:
            if self._stream is None or self._stream.eof:
                rest = b"" if self._stream is None else self._stream.unused_data
                self._packed = rest.lstrip(b"\0") or self._file.read(size).lstrip(b"\0")
                if not self._packed:
                    return b""
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
            elif self._stream.needs_input:
                self._packed = self._file.read(size)
                if not self._packed:
                    raise EOFError("it ended within a stream")
            found = self._stream.decompress(self._packed, size)
            self._packed = b""
            if found:
                return found


COMPRESSIONS = {
    "gzip": Compression(
        re.compile(rb"\x1f\x8b\x08"),
        lambda file: igzip.IGzipFile(fileobj=file, mode="rb"),  # type: ignore[no-untyped-call]
        3,
    ),
    "zstd": Compression(
        re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
        lambda file: zstd.ZstdFile(file, options=WIDEST_WINDOW),
        3,
    ),
    "bz2": Compression(re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), bz2.BZ2File, 4),
    "xz": Compression(re.compile(rb"\xfd7zXZ\x00"), _Xz, 4),
}


def ratio(compression: str) -> int:
    """Bytes of text in a byte of a file that is packed so, or not at all; about."""
    return COMPRESSIONS[compression].ratio if compression else 1


def compression_of(head: bytes) -> str:
    """The kind of a file that begins with `head`: a key of `COMPRESSIONS`, or nothing."""
    return next((name for name, kind in COMPRESSIONS.items() if kind.magic.match(head)), "")
