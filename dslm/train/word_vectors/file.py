"""Word vectors as other programs write them in text: word2vec's form, and GloVe's.

    400000 100                  only word2vec and fastText: how many words, and how wide
    the 0.418 0.24968 …         a word and its numbers, a line each
    . . . -0.23084 0.26404 …    GloVe has words with spaces: the last numbers count

The path of a line: it is split into word and numbers by the width, checked for what is no number,
and parsed if the word is among those wanted. Nothing else is kept, so memory follows the vocabulary
and not the file. Only text is read: word2vec's binary form and pickles are reported as such.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dslm.errors import DataError, Problem
from dslm.files.compression import ratio
from dslm.files.encoding import mark
from dslm.files.lines import MARK, skip_line, to_line
from dslm.files.names import LONGEST, printable
from dslm.files.sniff import sniff, text_start
from dslm.files.streams import CutShortError, head, opened
from dslm.progress import Advance, Meter

HEAD = 1 << 18
"""Bytes from which the width is determined."""
LONGEST_LINE = 1 << 21
"""Bytes: more than a word and ten thousand numbers take."""
MOST = 10
"""Wrong lines that are reported; then reading ends."""
SIGNS = b"0123456789+-.eE "
"""What numbers are written with."""
NUMBER = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
SIZES = re.compile(rb"\s*(\d+)\s+(\d+)\s*")
"""The first line of word2vec."""
ZIP = b"PK\x03\x04"

Row = npt.NDArray[np.float32]


@dataclass(frozen=True)
class VectorFile:
    """A file of word vectors whose beginning has been read."""

    path: Path
    compression: str
    """A key of `COMPRESSIONS`, or nothing."""
    encoding: str
    width: int
    """Numbers of a vector."""
    count: int | None
    """Words that its first line promises; `None` for a file without that line."""

    @property
    def text_bytes(self) -> int:
        """Bytes of text in it, estimated for a packed file."""
        return self.path.stat().st_size * ratio(self.compression)


@dataclass
class VectorRows:
    """What a file had of the words asked for."""

    rows: dict[str, Row] = field(default_factory=dict)
    """The vector of each word that was found, [width]."""
    words: int = 0
    """Lines with a word, wanted or not."""
    repeated: int = 0
    """Lines with a word whose vector was already known; the first one counts."""


class _LineError(Exception):
    """A line is no word with its numbers: what was found, the rule and the fix."""


def open_vectors(path: Path) -> VectorFile:
    """Look at the beginning of a file of word vectors.

    Raises:
        DataError: it cannot be read, is no text, or does not begin like word vectors.
    """
    compression = _compression(path)
    start = head(path, compression, HEAD)
    encoding = mark(start) or "utf-8"
    if encoding != "utf-8":
        start = start.decode(encoding, "ignore").encode("utf-8", "ignore")
    lines = start.removeprefix(MARK).split(b"\n")
    whole = lines[:-1] if len(start) >= HEAD else lines
    if not any(line.strip() for line in lines):
        raise DataError(Problem(_name(path), None, "is empty"))
    sizes = SIZES.fullmatch(whole[0]) if whole else None
    if sizes:
        count, width = map(int, sizes.groups())
    else:
        count, width = None, _usual_width(whole)
    if width < 1:
        raise DataError(Problem(_name(path), None, "does not hold a word and its numbers a line"))
    _check_first(path, whole, 1 if sizes else 0, width)
    return VectorFile(path, compression, encoding, width, count)


def read_vectors(
    file: VectorFile, wanted: Collection[str], advance: Advance | None = None
) -> VectorRows:
    """Read the vectors of some words, going through the whole file line by line.

    Args:
        file: from `open_vectors`.
        wanted: the words.
        advance: called with the number of bytes of text read; the sum is `VectorFile.text_bytes`.

    Raises:
        DataError: lines are no word with numbers (each is reported, up to `MOST` of them); or the
            file is damaged, or lacks words that its first line promises.
    """
    found, wrong = VectorRows(), list[Problem]()
    name = _name(file.path)
    meter = Meter(file.text_bytes, advance)
    try:
        for number, line in _lines(file, meter):
            try:
                _take(line, file.width, wanted, found)
            except _LineError as error:
                wrong.append(Problem(f"{name}, line {number}", *error.args))
            if len(wrong) == MOST:
                break
    except CutShortError as damage:
        wrong.append(Problem(name, None, f"is damaged: {damage}", "get the file again"))
    if not wrong and file.count not in (None, found.words):
        rule = f"its first line promises {file.count:,} words, and {found.words:,} follow"
        wrong.append(Problem(name, None, rule, "get the file again, or correct that line"))
    if wrong:
        raise DataError(*wrong)
    meter.finish()
    return found


def _lines(file: VectorFile, meter: Meter) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank and not the first one of word2vec, with their numbers."""
    with opened(file.path, file.compression, file.encoding, meter) as stream:
        to_line(stream, 0)
        for number, line in enumerate(iter(partial(stream.readline, LONGEST_LINE), b""), 1):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                skip_line(stream)
            plain = _plain(line)
            if plain and (number > 1 or file.count is None):
                yield number, plain


def _take(line: bytes, width: int, wanted: Collection[str], found: VectorRows) -> None:
    """Count a line, and keep its numbers if its word is wanted."""
    raw, numbers = _cut(line, width)
    try:
        word = raw.decode()
    except UnicodeDecodeError:
        fix = "leave out what is not: iconv -c -f utf-8 -t utf-8 FILE > FIXED"
        raise _LineError(None, "is not UTF-8", fix) from None
    found.words += 1
    if word in found.rows:
        found.repeated += 1
    if word in wanted and word not in found.rows:
        found.rows[word] = _parse(numbers)
    elif numbers.translate(None, SIGNS):
        _parse(numbers)


def _cut(line: bytes, width: int) -> tuple[bytes, bytes]:
    """The word of a line and its numbers.

    A word may have spaces, but its last part must be no number, or else there are too many.
    """
    spaces = line.count(b" ")
    if spaces == width:
        word, _, numbers = line.partition(b" ")
        return word, numbers
    word = line.rsplit(b" ", width)[0] if spaces > width else b""
    if spaces < width or NUMBER.fullmatch(word.rpartition(b" ")[2]):
        fields = line.split(b" ")
        words = next((n for n, part in enumerate(fields, 1) if n > 1 and NUMBER.fullmatch(part)), 2)
        rule = f"has {len(fields) - words + 1} numbers behind its word instead of {width}"
        raise _LineError(None, rule, "correct the line or get the file again")
    return word.strip(b" "), line[len(word) + 1 :]


def _parse(numbers: bytes) -> Row:
    """Numbers in text as an array, all of them finite."""
    fields = numbers.split(b" ")
    try:
        with np.errstate(over="ignore"):
            row = np.array([float(part) for part in fields]).astype(np.float32)
    except ValueError:
        wrong = next(part for part in fields if not _is_float(part))
        raise _LineError(_shown(wrong), "is not a number") from None
    if not np.isfinite(row).all():
        wrong = fields[int(np.argmin(np.isfinite(row)))]
        raise _LineError(_shown(wrong), "is not a finite number", "remove the line") from None
    return row


def _is_float(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: bytes) -> str:
    return printable(text[:LONGEST].decode("utf-8", "replace"))


def _check_first(path: Path, lines: Sequence[bytes], skipped: int, width: int) -> None:
    """Report at once a file whose first line holds no vector, such as a text of sentences."""
    numbered = enumerate(lines[skipped:], skipped + 1)
    number, line = next(((n, line) for n, line in numbered if line.strip()), (0, b""))
    try:
        if line:
            _parse(_cut(_plain(line), width)[1])
    except _LineError as error:
        raise DataError(Problem(f"{_name(path)}, line {number}", *error.args)) from None


def _plain(line: bytes) -> bytes:
    """A line without its end, and with spaces for tabs."""
    return line.replace(b"\t", b" ").rstrip()


def _usual_width(lines: Collection[bytes]) -> int:
    """Numbers on most of the first lines; a word with spaces may be among them."""
    counts = Counter(_plain(line).count(b" ") for line in lines if line.strip())
    return counts.most_common(1)[0][0] if counts else 0


def _compression(path: Path) -> str:
    """How a file is packed.

    Raises:
        DataError: it cannot be read, or holds no lines of text.
    """
    if path.exists() and not path.is_file():
        raise DataError(Problem(_name(path), None, "is no regular file"))
    try:
        compression, start = sniff(path)
        text_start(path, start)
    except DataError:
        if not path.exists():
            raise
        raise _not_text(path) from None
    return compression


def _not_text(path: Path) -> DataError:
    """What to do with a file that is no text."""
    start = head(path, "", HEAD)
    if start.startswith(ZIP):
        return DataError(Problem(_name(path), None, "is a zip archive", "unzip it"))
    if SIZES.fullmatch(start.partition(b"\n")[0]):
        rule = "is word2vec's binary form, and only its text form is read"
        fix = "write it with gensim's KeyedVectors.save_word2vec_format(FILE, binary=False)"
        return DataError(Problem(_name(path), None, rule, fix))
    rule, fix = "is not text", "write the vectors as text: a word and its numbers a line"
    return DataError(Problem(_name(path), None, rule, fix))


def _name(path: Path) -> str:
    return printable(str(path))
