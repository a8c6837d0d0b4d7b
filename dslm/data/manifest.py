"""What a shard set says about itself: `manifest.json`, written last, read first.

The folder beside it holds Arrow IPC streams of one column, ``tokens: large_list<uint16|uint32>``,
one row a document, and the tokenizer that made them. The manifest knows at which byte each run of
tokens begins, so that reading needs a memory map and nothing else; and it knows sizes and hashes,
because a stream cut between two batches reads without an error. It names no absolute path and no
time: the same text, tokenizer and settings give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.data import record
from dslm.errors import DataError, Problem

FILE = "manifest.json"

Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Advance = Callable[[int], None]
"""Called with the number of bytes dealt with since the last call."""


@dataclass(config=STRICT, frozen=True)
class Batch:
    """One run of tokens that lies in a shard without a gap."""

    offset: Count
    """Byte of the file at which the first token begins."""
    tokens: Count
    """Tokens in the run."""


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
    batches: tuple[Batch, ...]
    """Its tokens in reading order."""


@dataclass(config=STRICT, frozen=True)
class Input:
    """One file of text that went in."""

    name: str
    """Its path below the folder that holds all the inputs."""
    bytes: Count
    """Its size as it was found, compressed or not."""
    sha256: Sha256
    """The hash of its bytes."""


@dataclass(config=STRICT, frozen=True)
class Reading:
    """What a user chose about reading text."""

    invalid_utf8: Literal["refuse", "replace", "skip"] = "refuse"
    """What happens to a document that is not UTF-8."""
    text_key: str = "text"
    """The key of a JSON line that holds its text."""


@dataclass(config=STRICT, frozen=True)
class Manifest:
    """The content of `manifest.json`."""

    format: Literal[1]
    """Version of this layout."""
    dtype: Literal["uint16", "uint32"]
    """Type of a token in the shards."""
    vocabulary: Annotated[int, Field(ge=1)]
    """Number of ids the tokenizer can give."""
    maximum_token: Count
    """The largest id that occurs."""
    tokenizer_sha256: Sha256
    """The hash of the tokenizer's model."""
    documents: Count
    """Documents in all shards."""
    tokens: Count
    """Tokens in all shards."""
    text_bytes: Count
    """UTF-8 bytes of the text that was tokenized: the unit of bits per byte."""
    replaced: Count
    """Documents in which invalid UTF-8 was replaced by U+FFFD."""
    skipped: Count
    """Documents left out because they were not UTF-8."""
    empty: Count
    """Documents left out because they held no text."""
    shard_size: Annotated[int, Field(ge=1)]
    """Bytes of tokens after which a shard was closed."""
    reading: Reading
    """How the texts were read."""
    inputs: tuple[Input, ...]
    """The texts, in reading order."""
    shards: tuple[Shard, ...]
    """The files, in reading order."""

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
        manifest = record.load(cls, path, "shard set", "shard")
        if problems := manifest.check(str(path)):
            raise DataError(*problems)
        return manifest

    def check(self, where: str) -> list[Problem]:
        """The contradictions among the counts; `where` is the file to name."""
        shards, batches = self.shards, [batch for shard in self.shards for batch in shard.batches]
        sums = [
            ("documents", self.documents, sum(shard.documents for shard in shards)),
            ("tokens", self.tokens, sum(shard.tokens for shard in shards)),
            ("tokens", self.tokens, sum(batch.tokens for batch in batches)),
        ]
        problems = [
            Problem(f"{where}: {key}", total, f"the shards hold {found}", "shard again")
            for key, total, found in dict.fromkeys(sums)
            if total != found
        ]
        if self.maximum_token >= self.vocabulary:
            rule = f"a token id must be below vocabulary = {self.vocabulary}"
            problems.append(Problem(f"{where}: maximum_token", self.maximum_token, rule))
        return problems
