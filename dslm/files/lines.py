"""Lines of a file, found from any byte of it, and never held when they are too long."""

from __future__ import annotations

import io
from collections.abc import Iterator

MARK = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8."""
BLOCK = 1 << 16
WHITE_SPACE = b" \t\r\v\f"
"""Within a line."""


def skip_line(file: io.BufferedReader) -> int:
    """Go behind the next line end; returns the number of bytes that were passed."""
    passed = 0
    while part := file.readline(BLOCK):
        passed += len(part)
        if part.endswith(b"\n"):
            break
    return passed


def to_line(file: io.BufferedReader, start: int) -> int:
    """Go to the first line that begins at byte `start` or later.

    Returns:
        Where that is; a line that begins with the file begins behind its byte order mark.
    """
    if start:
        file.seek(start - 1)
        return start - 1 + skip_line(file)
    if file.peek(len(MARK)).startswith(MARK):
        return len(file.read(len(MARK)))
    return 0


def to_block(file: io.BufferedReader, start: int) -> int:
    """Go to the first line at byte `start` or later that follows a blank line, or to the end.

    Returns:
        Where that is, as `to_line`.
    """
    offset = to_line(file, start)
    if start and not _follows_blank(file, offset):
        while line := file.readline(BLOCK):
            offset += len(line)
            if line.isspace():
                break
            if not line.endswith(b"\n"):
                offset += skip_line(file)
    return offset


def _follows_blank(file: io.BufferedReader, offset: int) -> bool:
    """Whether the line before the one at `offset` is blank; the file stays there."""
    file.seek(0)
    floor = len(MARK) if file.read(len(MARK)) == MARK else 0
    end, rest = offset - 1, b""
    while end > floor and not rest:
        begin = max(floor, end - BLOCK)
        file.seek(begin)
        rest = file.read(end - begin).rstrip(WHITE_SPACE)
        end = begin
    file.seek(offset)
    return not rest or rest.endswith(b"\n")


class LongLine(int):
    """The bytes of a line that was passed over."""


def universal_lines(file: io.BufferedReader, widest: int) -> Iterator[bytes | LongLine]:
    """The lines from here on, which end in LF, CRLF or CR, each with its end.

    Args:
        file: at the first of them.
        widest: bytes of the longest line that is held.
    """
    held, size = list[bytes](), 0
    while block := file.read1(BLOCK):
        lines: list[bytes | LongLine] = [*_whole(block, file).splitlines(keepends=True)]
        if size:
            first = bytes(lines[0])
            size += len(first)
            held = [*held, first] if size <= widest else []
            if not first.endswith((b"\n", b"\r")):
                continue
            lines[0] = b"".join(held) if held else LongLine(size)
        held, size, last = [], 0, lines[-1]
        if isinstance(last, bytes) and not last.endswith((b"\n", b"\r")):
            del lines[-1]
            held, size = [last], len(last)
        yield from lines
    if size:
        yield b"".join(held) if held else LongLine(size)


def _whole(block: bytes, file: io.BufferedReader) -> bytes:
    """A block that does not end between CR and LF."""
    return block + file.read(1) if block.endswith(b"\r") else block
