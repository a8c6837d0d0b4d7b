"""``--split train=98,validation=1,test=1``: which set a document belongs to.

The first eight bytes of the SHA-256 of its text, cleaned but with all its paragraphs, are a number
that is as good as drawn at random; the shares cut the range of these numbers into intervals, one
for each set. So a document keeps its set whatever is read before it, beside it or after it, and
equal documents are never in two sets. Where no paragraph was cut from a document, the column
``sha256`` of a shard shows that hash.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from math import gcd, lcm
from pathlib import Path

from dslm.errors import ConfigError, Problem
from dslm.preprocess.read.kinds import kind, text_bytes
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.text import TEXT
from dslm.progress import counted

EXAMPLE = "train=98,validation=1,test=1"
HUNDRED = 100
"""Percent: what is left of it goes to the one set that has no share of its own."""
FEWEST = 5
"""Documents to expect in a set: of fewer, one set in a hundred would be empty."""
NAME = re.compile(r"\w[\w.-]*")
"""Names of sets, which are names of folders."""
SHARE = re.compile(r"[0-9]*\.?[0-9]+")
BITS = 64


@dataclass(frozen=True)
class Split:
    """Sets, and the share of the documents that each gets."""

    shares: tuple[tuple[str, int], ...]
    """Name and weight of each set; the same ratio of weights is always written in the same way."""

    @classmethod
    def read(cls, text: str) -> Split:
        """Sets as a user writes them: ``train=98,validation=1,test=1``, or ``train,validation=2``.

        Raises:
            ConfigError: with all that is wrong.
        """
        words = [word.partition("=") for word in text.split(",")]
        names = [name.strip() for name, _, _ in words]
        problems = [*_names(text, names)]
        weights = {
            name.strip(): _weight(name.strip(), value, problems)
            for name, sign, value in words
            if sign
        }
        rest = [name for name in names if name and name not in weights]
        if len(rest) > 1:
            rule = "only one set can get what is left of 100 %"
            problems.append(Problem("--split", text, rule, f"write a share, as in {EXAMPLE}"))
        elif rest:
            left = HUNDRED - sum(weights.values(), Fraction())
            if left <= 0 and not problems:
                rule = f"nothing is left of 100 % for {rest[0]}"
                problems.append(Problem("--split", text, rule, f"write a share, as in {EXAMPLE}"))
            weights[rest[0]] = left
        if problems:
            raise ConfigError(*problems)
        return cls(tuple(zip(names, _whole([weights[name] for name in names]), strict=True)))

    def __str__(self) -> str:
        return ",".join(f"{name}={weight}" for name, weight in self.shares)

    @property
    def names(self) -> list[str]:
        """The sets, in the order in which they were given."""
        return [name for name, _ in self.shares]

    def share(self, name: str) -> Fraction:
        """The part of all documents that a set gets."""
        weights = dict(self.shares)
        return Fraction(weights[name], sum(weights.values()))

    def few(self, documents: int) -> dict[str, Fraction]:
        """The sets that get too few of so many documents, and how many they may expect."""
        expected = {name: documents * self.share(name) for name in self.names}
        return {name: number for name, number in expected.items() if number < FEWEST}

    def set_of(self, text: str) -> str:
        """The set that a text belongs to."""
        digest = hashlib.sha256(text.encode()).digest()
        return self.names[bisect_right(self._borders, int.from_bytes(digest[: BITS // 8], "big"))]

    @cached_property
    def _borders(self) -> list[int]:
        """The numbers at which the second set begins, the third, and so on."""
        ends = accumulate(self.share(name) for name in self.names)
        return [int(end * (1 << BITS)) for end in ends][:-1]


def _names(text: str, names: Sequence[str]) -> list[Problem]:
    """What is wrong with the names of sets."""
    problems = []
    if not all(names):
        rule = "a set has no name"
        problems.append(Problem("--split", text, rule, f"write NAME=SHARE, as in {EXAMPLE}"))
    for name in dict.fromkeys(filter(None, names)):
        if not NAME.fullmatch(name):
            rule, fix = "is no name for a folder", "use letters, digits, - and _"
            problems.append(Problem("--split", name, rule, fix))
        if names.count(name) > 1:
            rule, fix = "is named more than once", "name each set once"
            problems.append(Problem("--split", name, rule, fix))
    if len(names) == 1 and names[0]:
        rule = "names one set"
        fix = f"name at least two, as in {EXAMPLE}, or leave --split out"
        problems.append(Problem("--split", text, rule, fix))
    return problems


def _weight(name: str, value: str, problems: list[Problem]) -> Fraction:
    """The weight of a set; what is wrong with it is added to `problems`."""
    if weight := _number(value.strip()):
        return weight
    percent = value.strip().removesuffix("%").strip()
    example = percent if _number(percent) else "1"
    fix = f"write {name or 'NAME'}={example}, or leave the set out"
    problems.append(Problem("--split", f"{name}={value}", "a share is a number above 0", fix))
    return Fraction(1)


def _number(value: str) -> Fraction:
    """What is written; 0 if it is no number."""
    return Fraction(value) if SHARE.fullmatch(value) else Fraction(0)


def _whole(weights: Sequence[Fraction]) -> list[int]:
    """The smallest whole numbers that have the same ratio."""
    scale = lcm(*(weight.denominator for weight in weights))
    whole = [int(weight * scale) for weight in weights]
    return [weight // gcd(*whole) for weight in whole]


def too_coarse(split: Split, paths: Sequence[Path], reading: ReadingConfig) -> list[Problem]:
    """A problem for sets that get too few documents, where their number is known beforehand.

    That is where each input is a text, and each text one document, or a few if it is long.
    """
    if reading.documents != "file" or not _is_plain(paths):
        return []
    sizes = [text_bytes(path) for path in paths]
    documents = sum(max(1, -(-size // reading.longest)) for size in sizes)
    few = split.few(documents)
    if not few:
        return []
    whole = documents == len(paths)
    origin = "one for each file" if whole else f"pieces of {counted(len(paths), 'file')}"
    rule = (
        f"{counted(documents, 'document')}, {origin}, cannot be split by documents: "
        f"{', '.join(f'{name} would get {float(number):.2g}' for name, number in few.items())}"
    )
    return [Problem("--split", str(split), rule, finer(split, [*few], paths, reading))]


def no_document(
    split: Split,
    empty: Sequence[str],
    documents: int,
    paths: Sequence[Path],
    reading: ReadingConfig,
) -> Problem:
    """Sets are empty although some files have given so many documents."""
    rule = f"of {counted(documents, 'document')} none fell into {' or '.join(empty)}"
    return Problem("--split", str(split), rule, finer(split, empty, paths, reading))


def longest(split: Split, text: int) -> int:
    """Kilobytes of pieces of plain text that give each set documents enough.

    Args:
        split: the shares.
        text: bytes of all of it; 0 is returned where it is too little.
    """
    return int(text * min(map(split.share, split.names)) / (2 * FEWEST * 1000))


def finer(split: Split, names: Sequence[str], paths: Sequence[Path], reading: ReadingConfig) -> str:
    """How some sets get more documents out of some files; records are never cut.

    Args:
        split: the shares.
        names: the sets.
        paths: the inputs.
        reading: how they were read.
    """
    larger = f"give {' and '.join(names)} a larger share"
    ways = _cuts(split, paths, reading) if _is_plain(paths) else []
    if not ways:
        return f"{larger}, or add more text"
    return f"cut texts into more documents with {' or '.join(ways)}, or {larger}"


def _cuts(split: Split, paths: Sequence[Path], reading: ReadingConfig) -> list[str]:
    """The options that cut plain text finer than it was."""
    kilobytes = longest(split, sum(map(text_bytes, paths)))
    is_finer = 0 < 1000 * kilobytes < reading.longest
    pieces = [f"--longest {kilobytes}KB (pieces that end with a paragraph)"] if is_finer else []
    line = "--documents line"
    return {
        "file": [*pieces, "--documents block (paragraphs)", line],
        "block": [line],
        "line": [],
    }[reading.documents]


def _is_plain(paths: Sequence[Path]) -> bool:
    return all(kind(path).format is TEXT for path in paths)
