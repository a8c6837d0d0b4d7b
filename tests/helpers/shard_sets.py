"""Texts of a few words, and shard sets of given token ids."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dslm.shards.manifest import Manifest
from dslm.shards.rows import Rows
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics
from dslm.shards.writer import ShardWriter

MakeSet = Callable[..., ShardSet]
"""The fixture that makes a set whose n-th token is n."""

WORDS = ["the", "stone", "river", "of", "light", "and", "dark", "under", "over", "never", "falls"]


def sentences(seed: int, words: int) -> str:
    draw = random.Random(seed)
    return "\n".join(" ".join(draw.choices(WORDS, k=12)) + "." for _ in range(max(1, words // 12)))


def write_set(folder: Path, shards: list[list[np.ndarray]], batch_tokens: int) -> ShardSet:
    """A shard set of given token ids, without text or tokenizer behind it."""
    folder.mkdir(parents=True)
    written = []
    for number, documents in enumerate(shards):
        with ShardWriter(folder / f"shard-{number:05d}.arrow", np.uint16, batch_tokens) as writer:
            for document in documents:
                writer.add(one_row(document.astype(np.uint16)))
            written.append(writer.finish())
    statistics = Statistics(
        documents=sum(part.documents for part in written),
        tokens=sum(part.tokens for part in written),
        sentences=sum(part.documents for part in written),
        text_bytes=1,
        maximum_token=65535,
    )
    Manifest(
        format=2,
        dtype="uint16",
        vocabulary=65536,
        tokenizer_sha256="0" * 64,
        statistics=statistics,
        settings={},
        inputs=(),
        shards=tuple(written),
    ).save(folder)
    return ShardSet.open(folder)


def one_row(tokens: np.ndarray) -> Rows:
    """One document of one sentence."""
    nothing = np.zeros(1, np.int64)
    ends = np.array([0, tokens.size])
    return Rows(tokens, ends, nothing, np.array([0, 1]), nothing, nothing, [""], [b""], nothing)
