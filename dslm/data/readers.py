"""Files of text in, documents out, one at a time.

The way of a document: `expand` turns patterns into files; the ending of a file chooses its reader
(after ``.gz`` has been unpacked); the reader cuts the bytes into documents and decodes them as
UTF-8. What to do with a document that is not UTF-8 is the user's choice, and what was done is
counted. A new kind of file is one function and one line in `READERS`.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from dslm.data.manifest import Advance, Input, Reading
from dslm.errors import DataError, Problem, suggest
from dslm.files import file_sha256

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
GZIP_RATIO = 4
"""Bytes of text in a byte of gzip, about; progress and samples are measured with it."""


@dataclass
class Tally:
    """Documents that did not go through as they were."""

    replaced: int = 0
    """Documents in which invalid UTF-8 became U+FFFD."""
    skipped: int = 0
    """Documents left out because they were not UTF-8."""
    empty: int = 0
    """Documents left out because they held no text."""


@dataclass(frozen=True)
class Source:
    """One file being read: how to decode it, and where to count what went wrong."""

    path: Path
    reading: Reading
    tally: Tally

    def decode(self, raw: bytes, offset: int) -> str | None:
        """The text of a document whose first byte is byte `offset` of the file.

        Returns:
            The text; `None` when the document is to be left out.
        """
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            where = f"not UTF-8 at byte {offset + error.start} (0x{raw[error.start]:02x})"
            return self._mend(where, lambda: raw.decode("utf-8", "replace"))

    def encodable(self, text: str, where: str) -> str | None:
        """A text that came out of JSON, freed of half surrogate pairs, which no UTF-8 can hold."""
        try:
            text.encode("utf-8")
            return text
        except UnicodeEncodeError as error:
            lone = f"holds half of a surrogate pair (U+{ord(text[error.start]):04X}) {where}"
            return self._mend(
                lone, lambda: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            )

    def broken(self, rule: str, fix: str = "") -> DataError:
        """An error about this file."""
        return DataError(Problem(str(self.path), None, rule, fix))

    def _mend(self, rule: str, replaced: Callable[[], str]) -> str | None:
        if self.reading.invalid_utf8 == "refuse":
            raise self.broken(rule, "convert it, or use --invalid-utf8 replace or skip")
        if self.reading.invalid_utf8 == "skip":
            self.tally.skipped += 1
            return None
        self.tally.replaced += 1
        return replaced()


def _whole_file(file: BinaryIO, source: Source) -> Iterator[str | None]:
    """One document a file, its line ends kept as they are."""
    raw = file.read()
    text = raw.removeprefix(BYTE_ORDER_MARK)
    yield source.decode(text, len(raw) - len(text))


def _json_lines(file: BinaryIO, source: Source) -> Iterator[str | None]:
    """One document a line: the text under `Reading.text_key`."""
    offset = 0
    for number, line in enumerate(file, 1):
        raw = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
        text = source.decode(raw, offset + len(line) - len(raw))
        offset += len(line)
        if text and not text.isspace():
            yield source.encodable(_text_of(text, number, source), f"in line {number}")


def _text_of(line: str, number: int, source: Source) -> str:
    key = source.reading.text_key
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise source.broken(f"line {number} is not JSON ({error})") from None
    if not isinstance(record, dict):
        raise source.broken(f"line {number} is not a JSON object")
    if key not in record:
        fix = suggest(key, record, f"use --text-key with one of {', '.join(record)}")
        raise source.broken(f"line {number} has no key {key!r}", fix)
    if not isinstance(record[key], str):
        raise source.broken(f"line {number}: the value of {key!r} is not text")
    return str(record[key])


Reader = Callable[[BinaryIO, Source], Iterator[str | None]]

READERS: dict[str, Reader] = {
    ".txt": _whole_file,
    ".jsonl": _json_lines,
}


def expand(patterns: Iterable[str]) -> list[Path]:
    """The files that patterns name, sorted, each once.

    Args:
        patterns: paths, or patterns with ``*``, ``?``, ``[…]`` and ``**``.

    Raises:
        DataError: with one problem for each pattern that names no file and for each kind of file
            that cannot be read.
    """
    problems: dict[str, Problem] = {}
    found: dict[Path, Path] = {}
    for pattern in patterns:
        names = [pattern] if os.path.exists(pattern) else glob.glob(pattern, recursive=True)
        paths = [Path(name) for name in names if os.path.isfile(name)]
        found.update({path.resolve(): path for path in paths})
        if not paths:
            folder = os.path.isdir(pattern)
            rule = "is a folder" if folder else "no such file"
            problems[pattern] = Problem(pattern, None, rule, f"try '{pattern}/*'" if folder else "")
    for path in found.values():
        if ending(path) not in READERS:
            rule = f"files ending in {ending(path)!r} cannot be read"
            fix = f"use {', '.join(READERS)}, plain or .gz"
            problems.setdefault(rule, Problem(str(path), None, rule, fix))
    if problems:
        raise DataError(*problems.values())
    return sorted(found.values())


def ending(path: Path) -> str:
    """What a file's name says of its content, compression aside: ``a.jsonl.gz`` → ``.jsonl``."""
    return Path(path.stem if path.suffix == ".gz" else path.name).suffix


def documents(
    path: Path, reading: Reading | None = None, tally: Tally | None = None
) -> Iterator[str]:
    """The documents of a file, in order; those without text are left out.

    Args:
        path: a file from `expand`.
        reading: what the user chose; by default invalid UTF-8 is refused.
        tally: where replaced, skipped and empty documents are counted.

    Raises:
        DataError: the file cannot be read, is not what its ending says, or is not UTF-8.
    """
    tally = tally or Tally()
    source = Source(path, reading or Reading(), tally)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            for text in READERS[ending(path)](cast("BinaryIO", file), source):
                if text:
                    yield text
                elif text is not None:
                    tally.empty += 1
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise source.broken(f"is not whole gzip ({error})") from None
    except OSError as error:
        raise source.broken(error.strerror or "cannot be read") from None


def text_size(path: Path) -> int:
    """Bytes of text in a file: its size, or an estimate when it is compressed."""
    size = path.stat().st_size
    return size * GZIP_RATIO if path.suffix == ".gz" else size


def describe(paths: Sequence[Path], folder: Path) -> tuple[Input, ...]:
    """Name, size and hash of files below `folder`; reads all of them.

    Raises:
        DataError: a file cannot be read.
    """
    return tuple(_described(path, folder) for path in paths)


def _described(path: Path, folder: Path) -> Input:
    name = path.resolve().relative_to(folder).as_posix()
    try:
        return Input(name=name, bytes=path.stat().st_size, sha256=file_sha256(path))
    except OSError as error:
        rule = error.strerror or "cannot be read"
        raise DataError(Problem(str(path), None, rule)) from None


def common_folder(paths: Iterable[Path]) -> Path:
    """The deepest folder that holds all the files."""
    return Path(os.path.commonpath([path.resolve().parent for path in paths]))


class Meter:
    """Tells the progress through one file by the text taken from it, which is not its size.

    Args:
        path: the file.
        advance: called so that in the end the sum is `text_size` of the file.
    """

    def __init__(self, path: Path, advance: Advance | None) -> None:
        self._left, self._advance = text_size(path), advance

    def __call__(self, amount: int) -> None:
        """Count some more bytes of text."""
        amount = min(amount, self._left)
        self._left -= amount
        if self._advance:
            self._advance(amount)

    def finish(self) -> None:
        """Count what is left: the file has been read."""
        self(self._left)
