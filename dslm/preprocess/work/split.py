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
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
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
BITS = 64


@dataclass(frozen=True)
class Split:
    """Sets, and the share of the documents that each gets."""

    shares: tuple[tuple[str, Decimal], ...]
    """Name and weight of each set; only the ratio of the weights matters."""

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
            left = HUNDRED - sum(weights.values())
            if left <= 0 and not problems:
                rule = f"nothing is left of 100 % for {rest[0]}"
                problems.append(Problem("--split", text, rule, f"write a share, as in {EXAMPLE}"))
            weights[rest[0]] = Decimal(left)
        if problems:
            raise ConfigError(*problems)
        return cls(tuple((name, weights[name]) for name in names))

    def __str__(self) -> str:
        return ",".join(f"{name}={weight}" for name, weight in self.shares)

    @property
    def names(self) -> list[str]:
        """The sets, in the order in which they were given."""
        return [name for name, _ in self.shares]

    def share(self, name: str) -> Fraction:
        """The part of all documents that a set gets."""
        weights = {one: Fraction(weight) for one, weight in self.shares}
        return weights[name] / sum(weights.values())

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


def _weight(name: str, value: str, problems: list[Problem]) -> Decimal:
    """The weight of a set; what is wrong with it is added to `problems`."""
    try:
        weight = Decimal(value.strip())
    except InvalidOperation:
        weight = Decimal("nan")
    if not weight.is_finite() or weight <= 0:
        rule, fix = "a share is a number above 0", f"write {name or 'NAME'}=1, or leave the set out"
        problems.append(Problem("--split", f"{name}={value}", rule, fix))
        return Decimal(1)
    return weight


def too_coarse(split: Split, paths: Sequence[Path], reading: ReadingConfig) -> list[Problem]:
    """A problem for sets that get too few documents, where their number is known beforehand.

    That is where each input is a text, and each text one document, or a few if it is long.
    """
    if reading.documents != "file" or any(kind(path).format is not TEXT for path in paths):
        return []
    sizes = [text_bytes(path) for path in paths]
    documents = sum(max(1, -(-size // reading.longest)) for size in sizes)
    few = split.few(documents)
    if not few:
        return []
    rule = (
        f"{counted(documents, 'document')}, one for each file, cannot be split by documents: "
        f"{', '.join(f'{name} would get {float(number):.2g}' for name, number in few.items())}"
    )
    return [Problem("--split", str(split), rule, _finer(split, [*few], sum(sizes)))]


def no_document(split: Split, empty: Sequence[str], documents: int, text: int) -> Problem:
    """Sets are empty although there are so many documents, of so many bytes of text."""
    rule = f"of {counted(documents, 'document')} none fell into {' or '.join(empty)}"
    return Problem("--split", str(split), rule, _finer(split, empty, text))


def longest(split: Split, names: Sequence[str], text: int) -> int:
    """Kilobytes of pieces of plain text that give each of some sets documents enough.

    Args:
        split: the shares.
        names: the sets.
        text: bytes of all of it; 0 is returned where it is too little.
    """
    return int(text * min(map(split.share, names)) / (2 * FEWEST * 1000))


def _finer(split: Split, names: Sequence[str], text: int) -> str:
    """How some sets get more documents."""
    kilobytes = longest(split, names, text)
    pieces = [f"--longest {kilobytes}KB (pieces that end with a paragraph)"] if kilobytes else []
    ways = [*pieces, "--documents block (paragraphs)", "--documents line"]
    larger = f"give {' and '.join(names)} a larger share"
    return f"cut texts into more documents with {' or '.join(ways)}, or {larger}"
