"""The first bytes of a file: how it is packed, and whether it holds text."""

from __future__ import annotations

import re
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.files.compression import COMPRESSIONS, compression_of, kind_named
from dslm.files.encoding import mark
from dslm.files.lines import MARK
from dslm.files.streams import head

HEAD = 1 << 16
SPOILED = 0.1
"""Share of control characters in valid UTF-8 from which on it is no text."""
BINARY = 0.02
"""The same where the bytes are not UTF-8; text of any other encoding has next to none."""
ZIP = b"PK\x03\x04"
ZEROS = bytes(8)
"""What a crash leaves in a file that was being written; UTF-16 and 32 have no such runs."""
CONTROL = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x0e\x0f\x1a\x1b\x1e"))
"""Control characters that no text needs; ISO 2022 needs SO, SI and ESC, JSON text sequences RS."""


def sniff(path: Path) -> tuple[str, bytes]:
    """How a file is packed, a key of `COMPRESSIONS` or nothing, and how its content begins.

    Raises:
        DataError: it cannot be read.
    """
    start = head(path, "", HEAD)
    compression = compression_of(start)
    if not compression and (name := kind_named(path.name)):
        begins = COMPRESSIONS[name].begins
        cut = start[: len(begins)] == begins[: len(start)]
        compression = name if cut or not _is_text(start) else ""  # its first bytes are damaged
    return compression, head(path, compression, HEAD) if compression else start


def text_start(path: Path, start: bytes, trusted: bool = False) -> bytes:
    """The beginning of a text as UTF-8, without its byte order mark.

    Args:
        path: the file, for the message.
        start: from `sniff`.
        trusted: whether there is a reason to think so; what damage has made of packed text may
            fill the beginning.

    Raises:
        DataError: it is not text.
    """
    if encoding := mark(start):
        start = start.decode(encoding, "ignore").encode("utf-8", "ignore")
    start = start.removeprefix(MARK)
    if ZEROS in start and start.strip(b"\0"):
        start = re.sub(ZEROS + b"+", b"\n", start)
    zeros = {"be": start[::2].count(0), "le": start[1::2].count(0)}
    order = max(zeros, key=zeros.__getitem__)
    wide = zeros[order] > len(start) // 4
    if not _is_text(start) and (wide or not trusted):
        convert = f"convert it with iconv -f UTF-16{order.upper()} -t UTF-8"
        fix = f"if it is UTF-16, it needs a byte order mark: {convert}" if wide else "leave it out"
        fix = "unpack it" if start.startswith(ZIP) else fix
        raise DataError(Problem(str(path), None, "is not text", fix))
    return start


def _is_text(start: bytes) -> bool:
    try:
        start[:-3].decode("utf-8")  # the last character may be cut
        most = SPOILED
    except UnicodeDecodeError:
        most = BINARY
    return len(start) - len(start.translate(None, CONTROL)) <= most * len(start)
