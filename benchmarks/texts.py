"""What benchmarks work on: some of the corpus that every machine already has, or made-up text."""

from __future__ import annotations

from pathlib import Path

from dslm.preprocess.builtin_corpus import gather
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig


def corpus_files(folder: Path, most: int) -> list[Path]:
    """Write the built-in corpus below `folder`; files of its training part of `most` bytes."""
    gather(folder / "corpus")
    files = []
    for path in sorted((folder / "corpus").glob("train-*.txt")):
        most -= path.stat().st_size
        if most < 0:
            break
        files.append(path)
    return files


def small_shards(folder: Path) -> Path:
    """A small shard set of characters, in a folder for it."""
    text, tokenizer = folder / "text.txt", folder / "tokenizer"
    text.write_text(" ".join(f"{n} times {n} is {n * n}." for n in range(4000)))
    train_tokenizer([text], tokenizer, TokenizerConfig("char", None))
    shard([text], folder / "shards", ShardingConfig(tokenizer))
    return folder / "shards"
