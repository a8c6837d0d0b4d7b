"""What a file holds, by its first bytes: the packing, and what is inside.

The name decides only between kinds that look alike: a table of commas is also a text, and a file of
JSON lines whose first line is damaged looks like one.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.files.arrow import data_files
from dslm.files.compression import COMPRESSIONS, compression_of
from dslm.files.encoding import mark
from dslm.files.streams import head, unreadable

HEAD = 1 << 16
MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow file", b"\xff\xff\xff\xff": "arrow stream"}
NAMES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
}
DATASET = ("dataset_info.json", "state.json")
"""The files by which `datasets` knows a folder that it saved."""
SPOILED = 0.1
"""Share of control characters in valid UTF-8 from which on it is no text."""
BINARY = 0.02
"""The same where the bytes are not UTF-8; text of any other encoding has next to none."""
PARQUET_RATIO = 2
"""As `Compression.ratio`: Parquet is packed by itself."""
ZIP = b"PK\x03\x04"
JSON = re.compile(rb'\s*(\{\s*["}]|\[\s*[\[{"\]])')
CONTROL = bytes(set(range(32)) - set(b"\b\t\n\v\f\r\x0e\x0f\x1a\x1b"))
"""Control characters that no text needs; ISO 2022 needs SO, SI and ESC."""


@dataclass(frozen=True)
class FileKind:
    """What a file holds."""

    compression: str
    """A key of `COMPRESSIONS`; nothing for a plain file."""
    format: str
    """A key of `documents.READERS`."""


def kind(path: Path) -> FileKind:
    """Look at the beginning of a file, or at a folder that `datasets` saved.

    Raises:
        DataError: the file cannot be read, or is neither text nor a kind that is known.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    if stat.S_ISDIR(state.st_mode):
        data_files(path)
        return FileKind("", "dataset")
    return _kind(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _kind(path: Path, size: int, changed: int) -> FileKind:
    """The kind of a file, which is asked for often; the same while its size and time are."""
    start = head(path, "", HEAD)
    compression = compression_of(start)
    if compression:
        start = head(path, compression, HEAD)
    binary = next((form for sign, form in MAGIC.items() if start.startswith(sign)), "")
    if binary == "parquet" and compression:
        rule = f"is Parquet inside {compression}, which cannot be read"
        raise DataError(Problem(str(path), None, rule, "unpack it: Parquet is packed by itself"))
    return FileKind(compression, binary or _text_format(path, start, compression))


def is_dataset(folder: Path) -> bool:
    """Whether a folder is what `datasets.Dataset.save_to_disk` writes."""
    return all((folder / name).is_file() for name in DATASET)


def _text_format(path: Path, start: bytes, compression: str) -> str:
    if encoding := mark(start):
        start = start.decode(encoding, "ignore").encode("utf-8", "ignore")
    start = start.removeprefix(b"\xef\xbb\xbf")
    if not _is_text(start):
        wide = max(start[::2].count(0), start[1::2].count(0)) > len(start) // 4
        fix = "if it is UTF-16, it needs a byte order mark" if wide else "leave it out"
        fix = "unpack it" if start.startswith(ZIP) else fix
        raise DataError(Problem(str(path), None, "is not text", fix))
    name = path.name.lower().rpartition(".")[0] if compression else path.name.lower()
    named = NAMES.get(Path(name).suffix or Path(path.name.lower()).suffix, "text")
    if named in ("csv", "tsv") or not start:
        return named
    return _json_format(start) if JSON.match(start) else named


def _is_text(start: bytes) -> bool:
    try:
        start[:-3].decode("utf-8")  # the last character may be cut
        most = SPOILED
    except UnicodeDecodeError:
        most = BINARY
    return len(start) - len(start.translate(None, CONTROL)) <= most * len(start)


def _json_format(start: bytes) -> str:
    """An object that goes on after its first line ends that line with a bracket or a comma."""
    start = start.lstrip()
    first = start.partition(b"\n")[0].rstrip()
    spans_lines = first != start.rstrip() and first.endswith((b"{", b"[", b","))
    return "json document" if start.startswith(b"[") or spans_lines else "json lines"


def text_bytes(path: Path, found: FileKind | None = None) -> int:
    """Bytes of text in an input: its size, or an estimate when it is packed.

    Args:
        path: an input from `expand`.
        found: its kind, where it is known already.

    Raises:
        DataError: it cannot be read.
    """
    found = found or kind(path)
    ratio = PARQUET_RATIO if found.format == "parquet" else 1
    if found.compression:
        ratio = COMPRESSIONS[found.compression].ratio
    return sum(size for _, size in _sizes(path)) * ratio


def _sizes(path: Path) -> list[tuple[Path, int]]:
    """The files of an input and their bytes."""
    try:
        files = data_files(path) if path.is_dir() else [path]
        return [(file, file.stat().st_size) for file in files]
    except OSError as error:
        raise unreadable(path, error) from None
