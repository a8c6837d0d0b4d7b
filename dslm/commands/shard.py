"""``shard``: a shard set from text and a tokenizer, alone, under ``mpirun`` or as SLURM tasks."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslm.commands.run import Parser, explain
from dslm.commands.text_options import add_text_options, count, natural, reading, size
from dslm.config.help import describe
from dslm.data.clean.pipeline import Cleaner
from dslm.data.clean.presets import PRESETS
from dslm.data.read.inputs import expand, text_bytes
from dslm.data.shard_set import ShardSet
from dslm.data.sharding import MAX_BAD, Running, shard
from dslm.data.work.crew import Member
from dslm.data.work.folder import WorkFolder
from dslm.data.work.plan import SHARD_SIZE, Choices, Sharding, plan
from dslm.parallel.crew import Crew, join_crew
from dslm.progress import Progress, duration, human

DESCRIPTION = """\
Turn text into shards that training reads.

  python preprocess/shard.py --input 'corpus/train*.txt' --tokenizer tok \\
      --output shards/train --workers 2
  python preprocess/shard.py --input crawl --tokenizer tok --output shards/web \\
      --clean web cleaning.language.allow='["en"]' duplicates.near=true
  mpirun -n 16 python preprocess/shard.py …      the same bytes, on as many processes

Whatever ends it, repeat the command: what is done is kept, and checked.
"""

STDIN = "-"


def main(arguments: list[str]) -> None:
    """Parse, shard, tell what was made."""
    parser = _parser()
    if {"-h", "--help"} & set(arguments):
        print(_help(parser))
        return
    with join_crew(explain) as crew:
        crew.first(lambda: _check(parser, arguments))
        options = parser.parse_args(arguments)
        with _inputs(options) as paths:
            _shard(paths, options, crew)


def _check(parser: Parser, arguments: list[str]) -> None:
    """Find the mistakes that all ranks would find."""
    options = parser.parse_args(arguments)
    expand([pattern for pattern in options.input if pattern != STDIN])
    Cleaner(Choices.read(options.clean, options.words).cleaning)


def _shard(paths: list[Path], options: argparse.Namespace, crew: Crew) -> None:
    choices = Choices.read(options.clean, options.words)
    sharding = Sharding(
        options.tokenizer,
        options.shard_size,
        reading(options),
        choices.cleaning,
        choices.duplicates,
    )
    if crew.speaks:
        for line in _first_screen(paths, sharding, options, crew):
            print(line, file=sys.stderr)
    started, total = time.monotonic(), sharding.passes * sum(map(text_bytes, paths))
    with Progress(total, "B", "sharding") as progress:
        running = Running(
            workers=options.workers,
            member=Member(crew.rank, crew.size),
            max_bad=options.max_bad,
            rejects=options.rejects,
            progress=progress.advance if crew.speaks else None,
        )
        shards, made = shard(paths, options.output, sharding, running)
    crew.wait()
    if crew.speaks:
        seconds = time.monotonic() - started
        for line in _last_screen(shards, options, seconds if made else None):
            print(line)


@contextmanager
def _inputs(options: argparse.Namespace) -> Iterator[list[Path]]:
    """The files to read; standard input becomes one, since a killed run reads its inputs again."""
    patterns = [pattern for pattern in options.input if pattern != STDIN]
    if STDIN not in options.input:
        yield expand(patterns)
        return
    options.output.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.output.absolute().parent) as folder:
        spooled = Path(folder) / "stdin"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield expand([*patterns, str(spooled)])


def _first_screen(
    paths: list[Path], sharding: Sharding, options: argparse.Namespace, crew: Crew
) -> list[str]:
    """What will be done."""
    amount = sum(map(text_bytes, paths))
    processes = f"{options.workers} worker{'s' if options.workers > 1 else ''}"
    if crew.size > 1:
        processes = f"{crew.size} tasks of {processes}"
    repeated = [
        name for name in ("documents", "paragraphs", "near") if getattr(sharding.duplicates, name)
    ]
    steps = [*sharding.cleaning.active, *(f"duplicates ({name})" for name in repeated)]
    unfinished = WorkFolder.beside(options.output)
    files = f"{len(paths):,} file{'s' if len(paths) > 1 else ''}"
    lines = [
        f"input     {files}, about {human(amount)}B of text",
        f"cleaning  {', '.join(steps) or 'none (see --clean)'}",
        f"work      {len(plan(paths, sharding)):,} units, {processes}, {sharding.passes} "
        f"pass{'es' if sharding.passes > 1 else ''} over the text",
        f"output    {options.output}, shards of {human(options.shard_size)}B",
    ]
    if unfinished.path.exists():
        lines.append(f"resuming  {unfinished.units_done()} units were done before and are checked")
    return lines


def _last_screen(shards: ShardSet, options: argparse.Namespace, seconds: float | None) -> list[str]:
    """What was made, and what to type next."""
    manifest, tally = shards.manifest, shards.manifest.tally
    files = f"{len(manifest.shards)} shard{'s' if len(manifest.shards) > 1 else ''}"
    stored = sum(shard.bytes for shard in manifest.shards)
    how = "(already there)" if seconds is None else f"in {duration(seconds)}"
    lines = [
        f"{options.output} {how}",
        f"  {tally.documents:,} documents, {tally.sentences:,} sentences, {human(tally.tokens)} "
        f"tokens, {tally.text_bytes / tally.tokens:.2f} bytes of text a token",
        f"  {files} of {manifest.dtype}, {human(stored)}B",
    ]
    for what, counts in (
        ("left out", tally.left_out),
        ("broken", tally.broken),
        ("changed", tally.changed),
    ):
        told = ", ".join(f"{number:,} {reason}" for reason, number in counts.items())
        lines += [f"  {what}: {told}"] if told else []
    lines += [f"    {example}" for example in tally.examples[:5]]
    if options.rejects:
        lines.append(f"  what was left out: {options.rejects}")
    command = "deepspeed launch/pretrain.py tiny --deepspeed_config ds_configs/zero1_fp32.json"
    return [
        *lines,
        "next:",
        f"  dslm data stats {options.output}",
        f"  {command} data.train={options.output} run=runs/a",
    ]


def _help(parser: Parser) -> str:
    presets = "\n".join(f"  {name:<8}{preset.__doc__}" for name, preset in PRESETS.items())
    keys = describe(Choices, {})
    return f"{parser.format_help()}\n--clean:\n{presets}\n\nkeys (key=value):\n{keys}"


def _parser() -> Parser:
    parser = Parser("shard", DESCRIPTION, add_help=False)
    add_text_options(parser)
    parser.add_argument("words", metavar="key=value", nargs="*", help="settings of cleaning")
    parser.add_argument(
        "--tokenizer",
        type=Path,
        required=True,
        help="a tokenizer folder; or a SentencePiece .model, a tokenizer.json, vocab.json with "
        "merges.txt, vocab.txt",
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--workers", type=count, default=1, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--shard-size",
        type=size,
        default=SHARD_SIZE,
        metavar="SIZE",
        help=f"tokens in a file, in bytes (default: {SHARD_SIZE // 10**6}MB)",
    )
    parser.add_argument(
        "--clean", choices=[*PRESETS], default="none", help="what to clean (default: %(default)s)"
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="write what is left out, as JSON lines in gzip"
    )
    parser.add_argument(
        "--max-bad",
        type=natural,
        default=MAX_BAD,
        metavar="N",
        help="broken records to leave out before stopping (default: %(default)s)",
    )
    return parser
