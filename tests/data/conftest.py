"""Small texts, tokenizers and shard sets that the tests of this folder share."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from dslm.data.manifest import Manifest
from dslm.data.rows import Rows
from dslm.data.shard_set import ShardSet
from dslm.data.sharding import shard
from dslm.data.tally import Tally
from dslm.data.tokenizer_training import Training, train_tokenizer
from dslm.data.work.plan import Sharding
from dslm.data.writer import ShardWriter

WORDS = ["the", "stone", "river", "of", "light", "and", "dark", "under", "over", "never", "falls"]


def sentences(seed: int, words: int) -> str:
    draw = random.Random(seed)
    return "\n".join(" ".join(draw.choices(WORDS, k=12)) + "." for _ in range(max(1, words // 12)))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> list[Path]:
    """Three text files and one file of JSON lines."""
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        (folder / f"{number}.txt").write_text(sentences(number, 600))
    lines = [json.dumps({"text": sentences(10 + number, 60)}) for number in range(40)]
    (folder / "lines.jsonl").write_text("\n".join(lines) + "\n")
    return sorted(folder.iterdir())


@pytest.fixture(scope="session")
def unigram(tmp_path_factory, corpus) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers") / "unigram"
    train_tokenizer(corpus, folder, Training("unigram", 300))
    return folder


@pytest.fixture(scope="session")
def characters(tmp_path_factory, corpus) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers") / "char"
    train_tokenizer(corpus, folder, Training("char", None))
    return folder


@pytest.fixture
def text_shards(tmp_path, corpus, unigram) -> ShardSet:
    """A shard set of several shards."""
    return shard(corpus, tmp_path / "set", Sharding(unigram, shard_size=1000))[0]


def write_set(folder: Path, shards: list[list[np.ndarray]], batch_tokens: int) -> ShardSet:
    """A shard set of given token ids, without text or tokenizer behind it."""
    folder.mkdir(parents=True)
    written = []
    for number, documents in enumerate(shards):
        with ShardWriter(folder / f"shard-{number:05d}.arrow", np.uint16, batch_tokens) as writer:
            for document in documents:
                writer.add(one_row(document.astype(np.uint16)))
            written.append(writer.finish())
    tally = Tally(
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
        tally=tally,
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


@pytest.fixture
def counted_set(tmp_path):
    """Makes a set whose n-th token is n, cut into the given documents and into two shards."""

    def make(*lengths: int, batch_tokens: int = 50, name: str = "counted") -> ShardSet:
        documents = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
        half = (len(documents) + 1) // 2
        shards = [part for part in (documents[:half], documents[half:]) if part]
        return write_set(tmp_path / name, shards, batch_tokens)

    return make
