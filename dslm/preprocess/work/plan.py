"""Which texts are processed together: units of work, which depend on inputs and settings alone.

Because a unit is the same whoever takes it, and gives the same bytes, the shard set is the same for
any number of processes, any order in which they finish and any number of interruptions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dslm.preprocess.clean.contamination import fingerprints
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.source import Piece
from dslm.preprocess.work.split import Split
from dslm.shards.shard_set import ShardSet

SHARD_SIZE = 256_000_000
UNITS = 64
"""Units of work that some text is cut into at least, so that many workers have something to do…"""
SMALLEST_UNIT = 1_000_000
"""… unless they would hold less text than this, which makes too many small files."""

ONLY = ""
"""The name of the set where there is one."""


@dataclass(frozen=True)
class ShardingConfig:
    """What a user chose, and the tokenizer."""

    tokenizer: Path
    """The tokenizer's folder or file."""
    shard_size: int = SHARD_SIZE
    """Bytes of tokens after which a shard is closed."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """How to read the files."""
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    """What to change and what to leave out."""
    duplicates: Duplicates = field(default_factory=Duplicates)
    """Which repeated texts to leave out."""
    against: tuple[Path, ...] = ()
    """Shard sets whose documents count as having been there before."""
    split: Split | None = None
    """The sets that the documents are divided into; `None` for one set of all."""

    @property
    def sets(self) -> list[str]:
        """The names of the sets to make; without a split one, which needs no name."""
        return self.split.names if self.split else [ONLY]

    @property
    def passes(self) -> int:
        """How often all of the text is gone through: to clean, to find duplicates, to write."""
        return 3 if self.duplicates.any else 1

    def settings(self) -> dict[str, Any]:
        """What decides the content of the shards, inputs and tokenizer aside, as JSON holds it."""
        chosen: dict[str, Any] = {
            "shard_size": self.shard_size,
            "reading": self.reading.settings,
            "cleaning": asdict(self.cleaning),
            "duplicates": asdict(self.duplicates),
        }
        if self.cleaning.contamination.on:
            chosen["cleaning"]["contamination"]["files"] = fingerprints(self.cleaning.contamination)
        if self.against:
            chosen["against"] = [ShardSet.open(folder).fingerprint for folder in self.against]
        if self.split:
            chosen["split"] = str(self.split)
        plain: dict[str, Any] = json.loads(json.dumps(chosen))
        return plain


@dataclass(frozen=True)
class WorkUnit:
    """Pieces of text that one process works on at a time."""

    number: int
    """Its number among the units, from 0."""
    pieces: tuple[Piece, ...]
    """What to read, in order."""
    size: int
    """Bytes of text, about."""


def plan(paths: Sequence[Path], sharding: ShardingConfig) -> list[WorkUnit]:
    """Cut large files, and group neighbouring pieces into units of about one size."""
    total = sum(map(text_bytes, paths))
    most = min(sharding.shard_size, max(total // UNITS, SMALLEST_UNIT))
    groups: list[list[Piece]] = []
    room = 0
    for piece in pieces(paths, sharding.reading, most):
        room -= piece.text_bytes
        if room < 0 or not groups:
            groups.append([])
            room = most - piece.text_bytes
        groups[-1].append(piece)
    return [
        WorkUnit(number, tuple(group), sum(piece.text_bytes for piece in group))
        for number, group in enumerate(groups)
    ]
