"""Where records go that become no document: counted, described, and written aside on request."""

from __future__ import annotations

import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import IO

from dslm.errors import DataError, Problem
from dslm.preprocess.document import Rejected
from dslm.shards.statistics import EXAMPLES, Statistics

MAX_BAD = 100
"""Broken records to let pass."""
NAMED = 5
"""Broken records that an error names."""

_KEY = "for text under another key add --text-key and its name"
WAYS = {
    "not UTF-8": "for text in another encoding add --encoding detect, or see --invalid-utf8",
    "no text key": _KEY,
    "not text": _KEY,
    "too long": "for longer records give a larger --longest",
    "not a row": "for other signs between and around cells see --delimiter and --quote",
}
"""What else may be done about broken records of some reason."""


class Rejects:
    """Takes the rejected records of a unit; use it in a ``with`` block.

    Args:
        statistics: where they are counted.
        names: the inputs, for people.
        most: broken records after which to stop.
        path: where to write them as JSON lines in gzip, or `None`.
    """

    def __init__(
        self, statistics: Statistics, names: tuple[str, ...], most: int, path: Path | None
    ) -> None:
        self.statistics, self.names, self.most = statistics, names, most
        self.left_out, self.broken = Counter[str](), Counter[str]()
        self.file: IO[str] | None = None
        if path is not None:
            # Without a time in its head, the same records give the same bytes.
            packed = gzip.GzipFile(path, "wb", 6, mtime=0)
            self.file = io.TextIOWrapper(packed, encoding="utf-8", errors="backslashreplace")

    def __call__(self, rejected: Rejected) -> None:
        """Take a record.

        Raises:
            DataError: it is one broken record too many.
        """
        name = self.names[rejected.input]
        if self.file is not None:
            record = {
                "input": name,
                "place": rejected.offset,
                "reason": rejected.reason,
                "detail": rejected.detail,
                "text": rejected.text,
            }
            self.file.write(json.dumps(record, ensure_ascii=False) + "\n")
        if not rejected.broken:
            self.left_out[rejected.reason] += 1
            return
        self.broken[rejected.reason] += 1
        if len(self.statistics.examples) < EXAMPLES:
            detail = f" ({rejected.detail})" if rejected.detail else ""
            self.statistics.examples.append(f"{name}: {rejected.reason}{detail}")
        check_broken(self.broken.total(), self.statistics.examples, self.most)

    def __enter__(self) -> Rejects:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()
        self.statistics.left_out = dict(sorted(self.left_out.items()))
        self.statistics.broken = dict(sorted(self.broken.items()))


def check_broken(number: int, examples: list[str], most: int) -> None:
    """Stop when more records are broken than a user lets pass.

    Raises:
        DataError: with a problem for each of the first, and one for their number.
    """
    if number <= most:
        return
    fix = "; ".join(["mend the input, or let more pass with --max-bad", *ways(examples)])
    raise DataError(
        *describe_broken(examples), Problem("--max-bad", most, f"{number} records are broken", fix)
    )


def ways(examples: list[str]) -> list[str]:
    """How else broken records may be read."""
    found = (WAYS[key] for key in WAYS if any(f": {key}" in example for example in examples))
    return [*dict.fromkeys(found)]


def nothing_kept(statistics: Statistics) -> list[Problem]:
    """What is wrong with inputs of which no document was kept.

    Args:
        statistics: what was counted in all of them.
    """
    lost = [f"{number} {reason}" for reason, number in statistics.left_out.items()]
    broken = [f"{number} {reason}" for reason, number in statistics.broken.items()]
    why = f"; all of it was left out: {', '.join(lost)}" if lost else ""
    why += f"; broken: {', '.join(broken)}" if broken else ""
    fix = "; ".join(ways(statistics.examples)) or "give files with text"
    problem = Problem("--input", None, f"holds no text to tokenize{why}", fix)
    return [*describe_broken(statistics.examples), problem]


def describe_broken(examples: list[str]) -> list[Problem]:
    """A problem for each of the first broken records."""
    parted = [example.partition(": ") for example in examples[:NAMED]]
    return [Problem(name, None, rule) for name, _, rule in parted]
