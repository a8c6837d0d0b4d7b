"""Proof that a shard set is what its manifest says: every hash, count and id, from the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dslm.errors import DataError, Problem
from dslm.progress import Advance
from dslm.shards.manifest import FILE, Shard
from dslm.shards.shard_file import REPAIR
from dslm.shards.shard_set import ShardSet
from dslm.shards.writer import describe_batches
from dslm.tokenizers.load import load_tokenizer


def verify(shards: ShardSet, progress: Advance | None = None) -> list[Problem]:
    """Compare the files with the manifest.

    Args:
        shards: the set, opened without any check.
        progress: called with the bytes read; in the end twice the bytes of all shards.

    Returns:
        One problem for each file that is not what was written.
    """
    problems = [*shards.verify(progress), *_check_tokenizer(shards)]
    broken = {problem.where for problem in problems}
    for shard in shards.manifest.shards:
        path = shards.folder / shard.file
        if str(path) not in broken:
            rules = _contradictions(path, shard, shards)
            problems += [Problem(str(path), None, rule, REPAIR) for rule in rules[:1]]
        if progress:
            progress(shard.bytes)
    return problems


def _check_tokenizer(shards: ShardSet) -> list[Problem]:
    try:
        found = load_tokenizer(shards.tokenizer)
    except DataError as error:
        return list(error.problems)
    if (found.sha256, found.begin) == (shards.tokenizer_sha256, shards.begin):
        return []
    return [Problem(str(shards.tokenizer), None, f"is not the tokenizer that {FILE} names", REPAIR)]


def _contradictions(path: Path, shard: Shard, shards: ShardSet) -> list[str]:
    """What a shard whose bytes are right holds that the manifest or the format denies."""
    import pyarrow

    try:
        found = describe_batches(path)
        if found != shard.batches:
            return [f"its record batches are not those of {FILE}"]
        with pyarrow.memory_map(str(path)) as source:
            batches = list(pyarrow.ipc.open_stream(source))
            return [rule for batch in batches for rule in _wrong(batch, shards)]
    except pyarrow.ArrowInvalid as error:
        return [f"is no Arrow stream of a shard set ({error})"]


def _wrong(batch: Any, shards: ShardSet) -> list[str]:
    tokens, sentences = batch.column("tokens"), batch.column("sentences")
    values = np.asarray(tokens.values)
    rules = []
    if values.size and int(values.max()) > shards.maximum_token:
        rules.append(f"token id {values.max()} is above statistics.maximum_token")
    if batch.num_rows and int(np.asarray(batch.column("input")).max()) >= len(
        shards.manifest.inputs
    ):
        rules.append(f"names an input that {FILE} does not list")
    sizes = np.repeat(np.diff(np.asarray(tokens.offsets)), np.diff(np.asarray(sentences.offsets)))
    starts = np.asarray(sentences.values)
    if starts.size and bool((starts > sizes).any()):
        rules.append("a sentence begins after the end of its document")
    return rules
