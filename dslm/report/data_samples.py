"""Texts to look at: some that a shard set holds, and some of each kind that were left out."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.tokenizer import Tokenizer

KEPT = 4
"""Documents that are shown, evenly spread over the set."""
REJECTED = 3
"""Records that are shown for each reason why they were left out: the first."""
CHARACTERS = 600
"""Characters that are shown of each."""
LOOKED = 200_000
"""Records of the file that are looked at, which takes some seconds."""


@dataclass(frozen=True)
class Sample:
    """A text with what is known of it."""

    about: str
    """Where it came from, in a line."""
    text: str
    """Its beginning."""


def kept(shards: ShardSet, tokenizer: Tokenizer) -> list[Sample]:
    """Some documents of a shard set."""
    reader = ProvenanceReader(shards)
    numbers = dict.fromkeys(
        shards.documents * n // KEPT for n in range(KEPT if shards.documents else 0)
    )
    found = []
    for number in numbers:
        one = reader(number)
        about = f"document {number:,} · {one.tokens:,} tokens · {one.input} at {one.place:,}"
        found.append(Sample(about, _beginning(reader.text(number, tokenizer))))
    return found


def rejected(path: Path) -> dict[str, list[Sample]]:
    """The first records of each reason in a file that ``shard --rejects`` wrote.

    Raises:
        DataError: there is no such file, or it is something else.
    """
    found: dict[str, list[Sample]] = {}
    counts = Counter[str]()
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for _, line in zip(range(LOOKED), lines, strict=False):
                record = json.loads(line)
                reason = str(record["reason"])
                counts[reason] += 1
                if counts[reason] <= REJECTED:
                    detail = f" · {record['detail']}" if record["detail"] else ""
                    about = f"{record['input']} at {record['place']:,}{detail}"
                    sample = Sample(about, _beginning(str(record["text"])))
                    found.setdefault(reason, []).append(sample)
    except FileNotFoundError:
        rule, fix = "no such file", "give the file that shard.py --rejects wrote"
        raise DataError(Problem("--rejects", str(path), rule, fix)) from None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        rule, fix = "is no file of rejected records", "give the file that shard.py --rejects wrote"
        raise DataError(Problem("--rejects", str(path), rule, fix)) from None
    return dict(sorted(found.items()))


def _beginning(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} …"
