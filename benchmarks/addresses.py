"""E-mail addresses in a reference toolkit's own test documents: what it found, and what we find."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

from measure import Options, Row, Table

from dslm.preprocess.clean.personal.addresses import emails

FOLDER = Path("defects/dolma_tests")

MARKED = re.compile(r"\[B-EMAIL\](.*?)\[E-EMAIL\]")
"""How the reference's recorded output marks what it found."""

PATTERN = re.compile("[.\\s@,?!;:)(]*([^\\s@]+@[^\\s@,?!;:)(]+?)[.\\s@,?!;:)(]?[\\s\n\r]")
"""The reference's published pattern, applied to all its test documents."""


def measure(options: Options) -> Table:
    """Count what the reference found and how much of it we find."""
    folder = options.corpora / FOLDER
    recorded = _found(_recorded(folder))
    matched = _found(
        (text, [m.span(1) for m in PATTERN.finditer(text) if "." in m[1].split("@", 1)[1]])
        for text in dict.fromkeys(_texts(folder))
    )
    rows = [
        Row("in its recorded output", "all", str(recorded[1]), str(recorded[0])),
        Row("by its pattern on all its documents", "all", str(matched[1]), str(matched[0])),
    ]
    setting = (
        "Dolma's test documents; under “peer” what the reference found, under “ours” how much of "
        "that we find"
    )
    return Table("E-mail addresses masked", setting, rows)


def _found(documents: Iterator[tuple[str, list[tuple[int, int]]]]) -> tuple[int, int]:
    """How many addresses the reference found, and how many of these we find."""
    reference = ours = 0
    for text, spans in documents:
        found = emails(text)
        reference += len(spans)
        ours += sum(any(a < end and start < b for a, b in found) for start, end in spans)
    return reference, ours


def _recorded(folder: Path) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    with gzip.open(folder / "expected" / "email-spans.json.gz", "rt") as file:
        for line in file:
            marked, plain, spans, at = json.loads(line)["text"], "", [], 0
            for match in MARKED.finditer(marked):
                plain += marked[at : match.start()]
                spans.append((len(plain), len(plain) + len(match[1])))
                plain += match[1]
                at = match.end()
            yield plain + marked[at:], spans


def _texts(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.json*")):
        if path.parent.name == "attributes" or not path.is_file():
            continue
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                if isinstance(record, dict) and isinstance(record.get("text"), str):
                    yield record["text"]
