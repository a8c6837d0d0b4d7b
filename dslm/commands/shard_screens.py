"""What ``shard`` prints before its work and after it."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dslm.commands.next_steps import after_sharding, of_split, siblings
from dslm.commands.shard_checks import workers_note
from dslm.environment import cores
from dslm.errors import DataError
from dslm.preprocess.read.kinds import kind, text_bytes
from dslm.preprocess.text.invisible import INVISIBLE
from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.plan import ONLY, SMALLEST_UNIT, ShardingConfig, WorkUnit, plan
from dslm.preprocess.work.rejects import ways
from dslm.preprocess.work.split import FEWEST, Split, finer
from dslm.progress import counted, duration, human
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

SHOWN = 5
"""Broken records that are shown one by one; those that were cut short are shown besides."""
CUT_SHORT = "cut short"
"""The reason of damaged places in packed files and archives."""
NOTABLE = 0.001
"""Share of the tokens, or of the bytes of text, from which on invisible characters are reported."""


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
    units = plan(paths, sharding)
    notes = [workers_note(options.workers, cores()), _idle(units, tasks * options.workers)]
    lines = [
        f"input     {counted(len(paths), 'file')}, about {human(amount)}B of text",
        f"cleaning  {', '.join(steps) or 'none (see --clean)'}",
        f"work      {counted(len(units), 'unit')}, {processes}, "
        f"{counted(sharding.passes, 'pass')} over the text",
        *(f"          {note}" for note in notes if note),
        f"output    {options.output}, shards of {human(options.shard_size)}B",
    ]
    if sharding.split:
        lines.append(f"split     {_shares(sharding.split)}: by a hash of each document")
    if done:
        lines.append(f"resuming  {counted(done, 'unit')} done before, which are checked")
    return lines


def _shares(split: Split) -> str:
    return ", ".join(f"{name} {100 * float(split.share(name)):.4g} %" for name in split.names)


def _idle(units: Sequence[WorkUnit], processes: int) -> str:
    """Why some processes will have nothing to do, if so."""
    if len(units) >= processes:
        return ""
    idle = f"{counted(processes, 'process')} for {counted(len(units), 'unit')} of work"
    if max(unit.size for unit in units) <= SMALLEST_UNIT:
        return f"{idle}: text of up to {human(SMALLEST_UNIT)}B is one unit"
    paths = {piece.path for unit in units for piece in unit.pieces}
    if any(kind(path).compression for path in paths):
        return f"{idle}: a packed file is not divided"
    return f"{idle}: a file is not divided where it is one document"


def last_screen(
    sets: Mapping[str, ShardSet],
    paths: Sequence[Path],
    sharding: ShardingConfig,
    options: argparse.Namespace,
    seconds: float | None,
) -> list[str]:
    """What was made, and what to type next."""
    how = "(already there)" if seconds is None else f"in {duration(seconds)}"
    lines = [f"{options.output} {how}"]
    for name, shards in sets.items():
        lines += _described(shards, f"{name}: " if name else "")
    shards = next(iter(sets.values()))
    lines += became(_of_all(sets))
    if not sharding.cleaning.controls.on:  # or else what there still is was to stay
        lines += _invisible(sets.values(), load_tokenizer(shards.tokenizer))
    lines += [
        f"  warning: {counted(one.documents, 'document')} in {name}: too few to say much; "
        f"{finer(sharding.split, [name], paths, sharding.reading)}"
        for name, one in sets.items()
        if sharding.split and one.documents < FEWEST
    ]
    rejects = []
    if options.rejects and seconds is not None:
        lines.append(f"  what was left out: {options.rejects}")
        rejects = ["--rejects", str(options.rejects)]
    folders = siblings(options.output) if ONLY in sets else of_split(options.output, [*sets])
    shown = folders.get("train", shards.folder) if ONLY not in sets else options.output
    return [
        *lines,
        "next:",
        f"  {shlex.join(['dslm', 'data', 'stats', str(shown), *rejects])}",
        *(f"  {line}" for line in after_sharding(folders)),
    ]


def _described(shards: ShardSet, name: str) -> list[str]:
    """How much a set holds."""
    manifest, statistics = shards.manifest, shards.manifest.statistics
    stored = sum(shard.bytes for shard in manifest.shards)
    return [
        f"  {name}{counted(statistics.documents, 'document')}, "
        f"{counted(statistics.sentences, 'sentence')}, {human(statistics.tokens)} tokens, "
        f"{statistics.text_bytes / statistics.tokens:.2f} bytes of text a token",
        f"  {' ' * len(name)}{counted(len(manifest.shards), 'shard')} of {manifest.dtype}, "
        f"{human(stored)}B",
    ]


def _of_all(sets: Mapping[str, ShardSet]) -> Statistics:
    """What became of the text, which the sets of a split have in common."""
    statistics = next(iter(sets.values())).manifest.statistics
    return replace(statistics, left_out=statistics.dropped)


def _invisible(sets: Collection[ShardSet], tokenizer: Tokenizer) -> list[str]:
    """What many tokens are that nobody sees, and how to be rid of them."""
    counts = Counter[str]()
    for shards in sets:
        counts.update(shards.manifest.statistics.invisible)
    tokens = sum(shards.tokens for shards in sets)
    of_each = {name: n * _tokens_of(INVISIBLE[name], tokenizer) for name, n in counts.items()}
    found = [
        f"{counts[name]:,} {name} are {100 * number / tokens:.2g} % of the tokens"
        for name, number in of_each.items()
        if number >= NOTABLE * tokens
    ]
    fix = "add --clean text, and choose another --output"
    return [f"  warning: {', '.join(found)}; {fix}"] if found else []


def _tokens_of(sign: str, tokenizer: Tokenizer) -> int:
    """The tokens that a character becomes within a text."""
    try:
        alone, within = tokenizer.encode(["a", f"a{sign}a"])
    except DataError:  # a tokenizer of other letters, which knows the sign or it would not be here
        return 1
    return max(0, len(within) - 2 * len(alone))


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
    if ways_out := ways(statistics.examples):
        lines.append(f"    {'; '.join(ways_out)}")
    if lost := statistics.broken.get(CUT_SHORT):
        lines.append(f"  warning: {counted(lost, 'place')} cut short: the text there is missing")
    return lines
