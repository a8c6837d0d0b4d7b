"""What a shard set says about itself: `manifest.json`, written last, read first.

The folder beside it holds Arrow IPC streams, one row a document, and the tokenizer that made them.
The manifest knows at which byte each plain array of tokens begins, so that reading needs a memory
map and nothing else; and it knows sizes and hashes, because a stream cut between two batches reads
without an error. It names no absolute path and no time: the same text, tokenizer and settings give
the same bytes.
"""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT, Count
from dslm.errors import DataError, Problem
from dslm.files import record
from dslm.files.fingerprint import Input, Sha256
from dslm.shards.statistics import Statistics

FILE = "manifest.json"
RENAMED = {"tally": "statistics", "struck": "removed"}
"""Keys of manifests that were written before they had these names."""


@dataclass(config=STRICT, frozen=True)
class RecordBatch:
    """One record batch: what it holds, and at which bytes of the file its plain arrays begin."""

    documents: Count
    """Rows."""
    tokens: Count
    """Tokens of all rows."""
    sentences: Count
    """Sentences of all rows."""
    tokens_at: Count
    """The tokens of all rows, without a gap, in the dtype of the set."""
    ends_at: Count
    """int64[documents + 1]: the first token of each row, counted from that of the batch."""
    sentences_at: Count
    """uint32[sentences]: the first token of each sentence, counted from that of its row."""
    sentence_ends_at: Count
    """int64[documents + 1]: the first sentence of each row, counted from that of the batch."""
    labels: Count = 0
    """Labels of all rows."""
    labels_at: Count = 0
    """float32[labels]: the labels of all rows, where they are examples of a task."""
    label_ends_at: Count = 0
    """int64[documents + 1]: the first label of each row, counted from that of the batch; 0 where
    there are none."""
    references: Count = 0
    """Bytes of the references of all rows, with what follows them up to a multiple of 8."""
    references_at: Count = 0
    """uint8[references]: the references of all rows, where they are examples of a task."""
    reference_ends_at: Count = 0
    """int64[documents + 1]: the first byte of each reference; 0 where there are none."""

    def size_and_dtype(self, column: str) -> tuple[int, str]:
        """How many numbers lie where a field whose name ends with ``_at`` says, and of what."""
        values = {
            "sentences_at": (self.sentences, "uint32"),
            "labels_at": (self.labels, "float32"),
            "references_at": (self.references, "uint8"),
        }
        return values.get(column, (self.documents + 1, "int64"))


@dataclass(config=STRICT, frozen=True)
class Shard:
    """One Arrow file."""

    file: str
    """Its name within the folder."""
    bytes: Count
    """Its size."""
    sha256: Sha256
    """The hash of its bytes."""
    documents: Count
    """Rows."""
    tokens: Count
    """Tokens, ends of documents included."""
    batches: tuple[RecordBatch, ...]
    """Its tokens in reading order."""


@dataclass(config=STRICT, frozen=True)
class RemovedDocument:
    """A document that was taken out of the set after it had been made."""

    sha256: Sha256
    """The hash of its text."""
    tokens: Count
    """Tokens it had."""
    shard: str
    """The file it was in."""


@dataclass(config=STRICT, frozen=True)
class Manifest:
    """The content of `manifest.json`."""

    format: Literal[2]
    """Version of this layout."""
    dtype: Literal["uint16", "uint32"]
    """Type of a token in the shards."""
    vocabulary: Annotated[int, Field(ge=1)]
    """Number of ids the tokenizer can give."""
    tokenizer_sha256: Sha256
    """The hash of the tokenizer's model."""
    statistics: Statistics
    """What the shards hold, and what was left out."""
    settings: dict[str, Any]
    """How the set was made: reading, cleaning, duplicates, size of a shard."""
    inputs: tuple[Input, ...]
    """The texts, in reading order."""
    shards: tuple[Shard, ...]
    """The files, in reading order."""
    removed: tuple[RemovedDocument, ...] = ()
    """Documents taken out since."""
    begin: tuple[Count, ...] = ()
    """The ids with which every document begins, as the tokenizer puts them before a text."""
    made_with: dict[str, str] = field(default_factory=dict)
    """The versions of what decided the bytes, for people."""

    def save(self, folder: Path) -> None:
        """Write `manifest.json` into a folder, whole or not at all."""
        record.save(self, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read `manifest.json` from a folder and check that it agrees with itself.

        Raises:
            DataError: it is missing, is no manifest, or its counts contradict each other.
        """
        path = folder / FILE
        if not path.exists() and (problem := folder_of_sets(folder, str(folder))):
            raise DataError(problem)
        manifest = record.load(cls, path, "shard set", "shard", RENAMED)
        if problems := manifest.check(str(path)):
            raise DataError(*problems)
        return manifest

    def check(self, where: str) -> list[Problem]:
        """The contradictions among the counts; `where` is the file to name."""
        shards, batches = self.shards, [batch for shard in self.shards for batch in shard.batches]
        statistics = self.statistics
        sums = [
            ("documents", statistics.documents, sum(shard.documents for shard in shards)),
            ("documents", statistics.documents, sum(batch.documents for batch in batches)),
            ("tokens", statistics.tokens, sum(shard.tokens for shard in shards)),
            ("tokens", statistics.tokens, sum(batch.tokens for batch in batches)),
            ("sentences", statistics.sentences, sum(batch.sentences for batch in batches)),
        ]
        problems = [
            Problem(f"{where}: statistics.{key}", total, f"the shards hold {found}", "shard again")
            for key, total, found in dict.fromkeys(sums)
            if total != found
        ]
        if statistics.maximum_token >= self.vocabulary:
            rule = f"a token id must be below vocabulary = {self.vocabulary}"
            name = f"{where}: statistics.maximum_token"
            problems.append(Problem(name, statistics.maximum_token, rule))
        return problems


def folder_of_sets(folder: Path, where: str, value: str | None = None) -> Problem | None:
    """The problem of a folder that holds shard sets and is given as one; `None` if it holds none.

    Args:
        folder: what was given.
        where: what to name: the folder, or the option.
        value: what the option was given.
    """
    within = [str(one) for one in sets_in(folder)]
    if not within:
        return None
    fix = f"give {'one of ' if len(within) > 1 else ''}{', '.join(within)}"
    return Problem(where, value, "the folder is not a shard set", fix)


def sets_in(folder: Path) -> list[Path]:
    """The shard sets that lie in a folder, by name."""
    return sorted(one.parent for one in folder.glob(f"*/{FILE}"))
