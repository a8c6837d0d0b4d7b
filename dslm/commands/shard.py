"""``shard``: a shard set from text and a tokenizer, alone, under ``mpirun`` or as SLURM tasks."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dslm.commands.cli import Parser, explain
from dslm.commands.shard_config import PreprocessingConfig
from dslm.commands.shard_screens import first_screen, last_screen
from dslm.commands.text_options import add_text_options, count, reading, size
from dslm.config.help import describe
from dslm.environment import Task
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import file_sha256
from dslm.files.published import occupied
from dslm.preprocess.clean.pipeline import Cleaner
from dslm.preprocess.clean.presets import PRESETS
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.shard import Execution, shard
from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.mpi import Ranks, join_ranks
from dslm.preprocess.work.plan import SHARD_SIZE, ShardingConfig
from dslm.progress import Progress
from dslm.tokenizers.load import load_tokenizer

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
    """Parse, shard, print what was made."""
    parser = _parser()
    if {"-h", "--help"} & set(arguments):
        print(_help(parser))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end like any other
    with join_ranks(explain) as ranks:
        ranks.check_once(lambda: _check(parser.parse_args(arguments), ranks.size))
        options = parser.parse_args(arguments)
        with _inputs(options) as paths:
            _shard(paths, options, ranks)


def _check(options: argparse.Namespace, tasks: int) -> None:
    """Find the mistakes that all ranks would find."""
    config = PreprocessingConfig.read(options.clean, options.words)
    Cleaner(config.cleaning)
    known_sets(tuple(dict.fromkeys(options.against)))
    load_tokenizer(options.tokenizer)
    paths = expand([pattern for pattern in options.input if pattern != STDIN])
    problems = _check_paths(options, paths)
    if options.against and not config.duplicates.any:
        rule, fix = "has no effect: no duplicates are looked for", "add duplicates.documents=true"
        problems.append(Problem("--against", str(options.against[0]), rule, fix))
    if STDIN in options.input and tasks > 1:
        rule = "only one of several processes can read standard input"
        problems.append(Problem("--input", STDIN, rule, "write it to a file first"))
    if problems:
        raise DataError(*problems)


def _check_paths(options: argparse.Namespace, paths: Sequence[Path]) -> list[Problem]:
    """What is written may not be read, now or when the command is repeated."""
    read = {path.resolve() for path in (*paths, *map(Path, options.input)) if path.is_dir()}
    problems = [
        Problem(name, str(path), "lies in a folder that is read", "choose a path outside")
        for name, path in (("--output", options.output), ("--rejects", options.rejects))
        if path is not None and not read.isdisjoint(path.resolve().parents)
    ]
    begun = occupied(options.output) or WorkFolder.beside(options.output).path.exists()
    if options.rejects is not None and options.rejects.exists() and not begun:
        rule = "there is such a file already"
        problems.append(Problem("--rejects", str(options.rejects), rule, "choose another name"))
    return problems


def _shard(paths: list[Path], options: argparse.Namespace, ranks: Ranks) -> None:
    config = PreprocessingConfig.read(options.clean, options.words)
    sharding = ShardingConfig(
        options.tokenizer,
        options.shard_size,
        reading(options),
        config.cleaning,
        config.duplicates,
        tuple(dict.fromkeys(options.against)),
    )
    if ranks.is_main:
        for line in first_screen(paths, sharding, options, ranks.size):
            print(line, file=sys.stderr)
    started, total = time.monotonic(), sharding.passes * sum(map(text_bytes, paths))
    total += sum(unit.size for unit in known_sets(sharding.against).units)
    with Progress(total, "B", "sharding") as progress:
        execution = Execution(
            workers=options.workers,
            task=Task(ranks.rank, ranks.size),
            max_bad=options.max_bad,
            rejects=options.rejects,
            progress=progress.advance if ranks.is_main else None,
            notice=_notice if ranks.is_main else None,
        )
        shards, made = shard(paths, options.output, sharding, execution)
    ranks.wait()
    if ranks.is_main:
        seconds = time.monotonic() - started
        for line in last_screen(shards, options, seconds if made else None):
            print(line)


def _notice(sentence: str) -> None:
    print(sentence, file=sys.stderr)


@contextmanager
def _inputs(options: argparse.Namespace) -> Iterator[list[Path]]:
    """The files to read; standard input becomes one, since a killed run reads its inputs again."""
    patterns = [pattern for pattern in options.input if pattern != STDIN]
    if STDIN not in options.input:
        yield expand(patterns)
        return
    folder = options.output.absolute().parent / f".{options.output.name}.stdin"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield expand([*patterns, str(_spooled(folder / "stdin"))])
    finally:
        shutil.rmtree(folder)


def _spooled(path: Path) -> Path:
    """Standard input as a file, whose time follows from its content: repeated, it is the same."""
    with path.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    moment = int(file_sha256(path)[:12], 16)
    os.utime(path, ns=(moment, moment))
    return path


def _help(parser: Parser) -> str:
    presets = "\n".join(f"  {name:<8}{preset.__doc__}" for name, preset in PRESETS.items())
    keys = describe(PreprocessingConfig, {})
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
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="SHARDS",
        help="leave out what an existing shard set holds already, as duplicates.… says; may be "
        "repeated",
    )
    parser.add_argument(
        "--rejects", type=Path, metavar="FILE", help="write what is left out, as JSON lines in gzip"
    )
    return parser
