"""Compressed files: how each kind is recognised, opened, and known to be damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, cast

from backports import zstd
from isal import igzip, isal_zlib

WIDEST_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 31}
"""Large dumps are often made with ``zstd --long=31``, which is refused unless asked for."""

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
    unpacked: Callable[[BinaryIO], BinaryIO]
    """From the packed file to its content; members one behind the other are one content."""
    ratio: int
    """Bytes of text in a byte of the file, about; progress and pieces are measured with it."""


def _gunzip(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", igzip.IGzipFile(fileobj=file, mode="rb"))  # type: ignore[no-untyped-call]


def _unzstd(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", zstd.ZstdFile(file, options=WIDEST_WINDOW))


def _unbz2(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", bz2.BZ2File(file, "rb"))


def _unxz(file: BinaryIO) -> BinaryIO:
    return cast("BinaryIO", lzma.LZMAFile(file, "rb"))


COMPRESSIONS = {
    "gzip": Compression(re.compile(rb"\x1f\x8b\x08"), _gunzip, 3),
    "zstd": Compression(re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _unzstd, 3),
    "bz2": Compression(re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"), _unbz2, 4),
    "xz": Compression(re.compile(rb"\xfd7zXZ\x00"), _unxz, 4),
}


def compression_of(head: bytes) -> str:
    """The kind of a file that begins with `head`: a key of `COMPRESSIONS`, or nothing."""
    return next((name for name, kind in COMPRESSIONS.items() if kind.magic.match(head)), "")
