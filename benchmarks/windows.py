"""Random windows a second from shards in one process, against `datasets` over the same tokens.

The peer gets what suits it best: rows that have the window's length already, so that a window is
one row. Ours begin at any token.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import Options, Table, alternate, speedup, timed
from texts import corpus_files

from dslm.arrays import Int64Array
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

LENGTH = 2048
CALL = 512
"""Windows that are asked for at a time: the batch of a step."""
OURS, PEERS = 80 * CALL, 2000
"""Windows that are read in a round."""
CORPUS, COPIES = 20_000_000, 4
"""Bytes of text, and how often they are sharded: more tokens than a processor's cache holds."""
ROUNDS = 9


def measure(options: Options) -> Table:
    """Read windows of both in turns."""
    with tempfile.TemporaryDirectory() as name:
        shards = _shards(Path(name))
        rows = _rows(Path(name), shards)
        draw = np.random.default_rng(0)
        starts = draw.integers(0, shards.tokens - LENGTH, OURS)
        indices = draw.integers(0, len(rows), PEERS)
        _check_equal(shards, rows, indices[:100])
        rates = alternate(
            {
                "dslm": timed(lambda: _read(shards, starts), OURS),
                "datasets": timed(lambda: [rows[i]["tokens"] for i in indices.tolist()], PEERS),
            },
            ROUNDS,
            "windows",
        )
    setting = (
        f"windows of {LENGTH} tokens, {shards.tokens / 1e6:.0f} M tokens, one process, warm; ours "
        f"at any token, {CALL} a call; `datasets.load_from_disk` in numpy format over rows of that "
        f"length, one a call; median of {ROUNDS} rounds"
    )
    row = speedup("random windows a second", "≥ 30×", rates["dslm"], rates["datasets"], "windows")
    return Table("Reading shards", setting, [row])


def _read(shards: ShardSet, starts: Int64Array) -> None:
    for first in range(0, len(starts), CALL):
        shards.windows(starts[first : first + CALL], LENGTH)


def _shards(folder: Path) -> ShardSet:
    files = corpus_files(folder, CORPUS)
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("char", None))
    return shard(files * COPIES, folder / "shards", ShardingConfig(folder / "tokenizer"))[0]


def _rows(folder: Path, shards: ShardSet) -> Any:
    """The same tokens as a dataset of rows, opened from the disk."""
    import datasets
    import pyarrow

    datasets.disable_progress_bars()
    count = shards.tokens // LENGTH
    tokens = shards.windows(np.arange(count) * LENGTH, LENGTH).ravel()
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(tokens), LENGTH)
    datasets.Dataset(pyarrow.table({"tokens": column})).save_to_disk(str(folder / "rows"))
    return datasets.load_from_disk(str(folder / "rows")).with_format("numpy")


def _check_equal(shards: ShardSet, rows: Any, indices: Int64Array) -> None:
    """Both read the same tokens, or the comparison is worth nothing."""
    windows = shards.windows(indices * LENGTH, LENGTH)
    peers = np.stack([rows[i]["tokens"] for i in indices.tolist()])
    assert np.array_equal(windows, peers), "the peer reads other tokens"
