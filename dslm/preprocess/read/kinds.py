"""What an input holds, by its first bytes: the packing, and the format of what is inside.

The name decides only between formats that look alike: a table of commas is also a text, and a file
of JSON lines whose first line is damaged looks like one.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.files.arrow import input_files
from dslm.files.compression import kind_named, ratio
from dslm.files.json_stream import JsonStream, Lost
from dslm.files.sniff import sniff, text_start
from dslm.files.streams import unreadable
from dslm.preprocess.read import registry
from dslm.preprocess.read.columnar import DATASET
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.json_document import JSON_DOCUMENT
from dslm.preprocess.read.json_lines import JSON_LINES
from dslm.preprocess.read.text import TEXT

JSON = re.compile(rb'[\s\x1e]*(\{\s*["}]|\[\s*[\[{"\]])')

POINTER = b"version https://git-lfs"
"""What Git leaves of a large file that it has not fetched."""
OBJECTS = re.compile(rb"\s*\[\s*\{")


@dataclass(frozen=True)
class FileKind:
    """What a file holds."""

    compression: str
    """A key of `COMPRESSIONS`; nothing for a plain file."""
    format: Format
    """What is inside."""


def kind(path: Path) -> FileKind:
    """Look at the beginning of a file, or at a folder that `datasets` saved.

    Raises:
        DataError: the file cannot be read, or is neither text nor of a format that is known.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise unreadable(path, error) from None
    if stat.S_ISDIR(state.st_mode):
        input_files(path)
        return FileKind("", DATASET)
    return _kind(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _kind(path: Path, size: int, changed: int) -> FileKind:
    """The kind of a file, which is asked for often; the same while its size and time are."""
    compression, start = sniff(path)
    if start.startswith(POINTER):
        rule, fix = "is only a pointer of Git LFS", "fetch the file: git lfs pull"
        raise DataError(Problem(str(path), None, rule, fix))
    form = format_of(path, start, compression)
    if form.ratio > 1 and compression:
        rule = f"is {form.name} inside {compression}, which cannot be read"
        fix = f"unpack it: {form.name} is packed by itself"
        raise DataError(Problem(str(path), None, rule, fix))
    return FileKind(compression, form)


def format_of(path: Path, start: bytes, compression: str) -> Format:
    """The format of a file of some name, whose unpacked content begins with `start`.

    Raises:
        DataError: it is neither text nor of a format that is known.
    """
    signed = (form for form in registry.FORMATS if form.magic and form.begins(start))
    return next(signed, None) or _without_magic(path, start, compression)


def _without_magic(path: Path, start: bytes, compression: str) -> Format:
    """The format of text, or the one that the name says where the beginning is damaged."""
    packed = compression or kind_named(path.name)  # or it was, and something has unpacked it
    name = path.name.lower().rpartition(".")[0] if packed else path.name.lower()
    suffix = Path(name).suffix or Path(path.name.lower()).suffix
    named = next((form for form in registry.FORMATS if suffix in form.suffixes), None)
    if named and named.magic:
        return named
    start = text_start(path, start, bool(named and compression))
    form = named or TEXT
    is_json = form is JSON_LINES or (form is TEXT and JSON.match(start))
    return _json_format(start, suffix == ".json" or form is TEXT) if is_json else form


def _json_format(start: bytes, may_be_one: bool) -> Format:
    """JSON lines where the first line holds whole records, or is damaged while others do.

    Args:
        start: the beginning of the file.
        may_be_one: whether its name allows for one value over several lines.
    """
    start = start.removesuffix(b"\r")  # perhaps half a line end
    first, *others = [line for line in start.splitlines() if line.strip()] or [b""]
    if b"\r" in start.replace(b"\r\n", b"\n"):
        return JSON_DOCUMENT
    found, is_list = _look(first), first.lstrip().startswith(b"[")
    if found == "records":
        is_one = is_list and (not others or OBJECTS.match(first))
    elif not others:
        is_one = is_list or (found == "damaged" and not {*b"{["}.isdisjoint(first[:2]))
    else:
        inner = any(line[:1] in b" \t]}" for line in others)
        whole = any(line[:1] in b"{[" and _look(line) == "records" for line in others)
        is_one = is_list or (inner and not whole)
        is_one |= found == "begun" and (inner or may_be_one)
        is_one |= found == "damaged" and may_be_one and not whole
    return JSON_DOCUMENT if is_one else JSON_LINES


def _look(line: bytes) -> str:
    """Whether a line of JSON holds whole records, the beginning of one, or damage."""
    blocks = iter([line, b""])
    found = [*JsonStream(blocks.__next__, len(line), (), False, lambda *_: False)]
    lost = next((one for one in found if isinstance(one, Lost)), None)
    if lost and lost.reason == "cut short" and not lost.detail.startswith("Unterminated"):
        return "begun"  # a text does not go on in the next line
    return "records" if found and not lost else "damaged"


def text_bytes(path: Path, found: FileKind | None = None) -> int:
    """Bytes of text in an input: its size, or an estimate when it is packed.

    Args:
        path: an input from `expand`.
        found: its kind, where it is known already.

    Raises:
        DataError: it cannot be read.
    """
    found = found or kind(path)
    return sum(size for _, size in file_sizes(path)) * ratio(found.compression) * found.format.ratio


def file_sizes(path: Path) -> list[tuple[Path, int]]:
    """The files of an input and their bytes.

    Raises:
        DataError: one cannot be read.
    """
    try:
        return [(file, file.stat().st_size) for file in input_files(path)]
    except OSError as error:
        raise unreadable(path, error) from None
