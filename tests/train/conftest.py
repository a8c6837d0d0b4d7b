"""A shard set that the tests of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    """A shard set of short documents and a tokenizer with all special ids."""
    lines = [f"The {n} of {n * n} {'and ' * (n % 9)}more." for n in range(300)]
    (tmp_path / "text.txt").write_text("\n".join(lines))
    file = [tmp_path / "text.txt"]
    reading = ReadingConfig(documents="line")
    train_tokenizer(file, tmp_path / "tokenizer", TokenizerConfig("bpe", 300))
    shard(file, tmp_path / "pieces", ShardingConfig(tmp_path / "tokenizer", reading=reading))
    return tmp_path / "pieces"
