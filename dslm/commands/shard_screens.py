"""What ``shard`` prints before its work and after it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.plan import ShardingConfig, plan
from dslm.progress import counted, duration, human
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics

SHOWN = 5
"""Broken records that are shown one by one; those that were cut short are shown besides."""
CUT_SHORT = "cut short"
"""The reason of damaged places in packed files and archives."""


def first_screen(
    paths: Sequence[Path], sharding: ShardingConfig, options: argparse.Namespace, tasks: int
) -> list[str]:
    """What will be done."""
    amount = sum(map(text_bytes, paths))
    processes = counted(options.workers, "worker")
    if tasks > 1:
        processes = f"{counted(tasks, 'task')} of {processes}"
    repeated = [
        name for name in ("documents", "paragraphs", "near") if getattr(sharding.duplicates, name)
    ]
    steps = [*sharding.cleaning.active, *(f"duplicates ({name})" for name in repeated)]
    done = WorkFolder.beside(options.output).units_done()
    units = len(plan(paths, sharding))
    lines = [
        f"input     {counted(len(paths), 'file')}, about {human(amount)}B of text",
        f"cleaning  {', '.join(steps) or 'none (see --clean)'}",
        f"work      {counted(units, 'unit')}, {processes}, "
        f"{counted(sharding.passes, 'pass')} over the text",
    ]
    if units < tasks * options.workers:
        lines.append(
            "          fewer units than workers: small files share one, packed ones are not divided"
        )
    lines.append(f"output    {options.output}, shards of {human(options.shard_size)}B")
    if done:
        lines.append(f"resuming  {counted(done, 'unit')} done before, which are checked")
    return lines


def last_screen(shards: ShardSet, options: argparse.Namespace, seconds: float | None) -> list[str]:
    """What was made, and what to type next."""
    manifest, statistics = shards.manifest, shards.manifest.statistics
    stored = sum(shard.bytes for shard in manifest.shards)
    how = "(already there)" if seconds is None else f"in {duration(seconds)}"
    lines = [
        f"{options.output} {how}",
        f"  {counted(statistics.documents, 'document')}, "
        f"{counted(statistics.sentences, 'sentence')}, {human(statistics.tokens)} tokens, "
        f"{statistics.text_bytes / statistics.tokens:.2f} bytes of text a token",
        f"  {counted(len(manifest.shards), 'shard')} of {manifest.dtype}, {human(stored)}B",
    ]
    lines += became(statistics)
    if options.rejects and seconds is not None:
        lines.append(f"  what was left out: {options.rejects}")
    command = "deepspeed launch/pretrain.py tiny --deepspeed_config ds_configs/zero1_fp32.json"
    return [
        *lines,
        "next:",
        f"  dslm data stats {options.output}",
        f"  {command} data.train={options.output} run=runs/a",
    ]


def became(statistics: Statistics) -> list[str]:
    """What became of records that were not kept as they were."""
    lines = []
    for what, counts in (
        ("left out", statistics.left_out),
        ("broken", statistics.broken),
        ("changed", statistics.changed),
    ):
        listed = ", ".join(f"{number:,} {reason}" for reason, number in counts.items())
        lines += [f"  {what}: {listed}"] if listed else []
    for number, example in enumerate(statistics.examples):
        if number < SHOWN or f": {CUT_SHORT}" in example:
            lines.append(f"    {example}")
    if lost := statistics.broken.get(CUT_SHORT):
        lines.append(f"  warning: {counted(lost, 'place')} cut short: the text there is missing")
    return lines
