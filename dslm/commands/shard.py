"""``shard``: a shard set from text and a tokenizer, alone, under ``mpirun`` or as SLURM tasks."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dslm.commands.cli import Parser, explain, typed_path
from dslm.commands.shard_checks import KINDS, STDIN, check
from dslm.commands.shard_config import PreprocessingConfig
from dslm.commands.shard_screens import first_screen, last_screen
from dslm.commands.text_options import add_text_options, convert, reading
from dslm.config.help import describe
from dslm.environment import Task
from dslm.errors import Problems
from dslm.files.fingerprint import file_sha256
from dslm.preprocess.clean.presets import PRESETS
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.shard import Execution, shard_sets
from dslm.preprocess.work.known import known_sets
from dslm.preprocess.work.mpi import Ranks, join_ranks
from dslm.preprocess.work.plan import SHARD_SIZE, ShardingConfig
from dslm.preprocess.work.split import EXAMPLE, Split
from dslm.progress import Progress

DESCRIPTION = """\
Turn text into shards that training reads.

  python preprocess/shard.py --input 'corpus/train*.txt' --tokenizer tok \\
      --output shards/train --workers 2
  python preprocess/shard.py --input 'corpus/*.txt' --tokenizer tok --output shards \\
      --split train=98,validation=1,test=1
  python preprocess/shard.py --input crawl --tokenizer tok --output shards/web \\
      --clean web cleaning.language.allow='["en"]' duplicates.near=true
  mpirun -n 16 python preprocess/shard.py …      the same bytes, on as many processes

Whatever ends it, repeat the command: what is done is kept, and checked.
"""


def main(arguments: list[str]) -> None:
    """Parse, shard, print what was made."""
    parser = _parser()
    if {"-h", "--help"} & set(arguments):
        print(_help(parser))
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # an end like any other
    with join_ranks(explain) as ranks:
        ranks.check_once(lambda: check(*_options(parser, arguments), ranks.size))
        options, _ = _options(parser, arguments)
        with _inputs(options) as paths:
            _shard(paths, options, ranks)


def _options(parser: Parser, arguments: list[str]) -> tuple[argparse.Namespace, Problems]:
    """The options, and what is wrong with their values."""
    options, found = parser.parse_args(arguments), Problems()
    found.problems += convert(options, KINDS)
    return options, found


def _shard(paths: list[Path], options: argparse.Namespace, ranks: Ranks) -> None:
    config = PreprocessingConfig.read(options.clean, options.words)
    sharding = ShardingConfig(
        options.tokenizer,
        options.shard_size,
        reading(options),
        config.cleaning,
        config.duplicates,
        tuple(dict.fromkeys(options.against)),
        Split.read(options.split) if options.split else None,
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
        sets, made = shard_sets(paths, options.output, sharding, execution)
    ranks.wait()
    if ranks.is_main:
        seconds = time.monotonic() - started
        for line in last_screen(sets, paths, sharding, options, seconds if made else None):
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


def _spooled(file: Path) -> Path:
    """Standard input as a file, whose time follows from its content: repeated, it is the same."""
    with file.open("wb") as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
    moment = int(file_sha256(file)[:12], 16)
    os.utime(file, ns=(moment, moment))
    return file


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
        type=typed_path,
        required=True,
        help="a tokenizer folder; or a SentencePiece .model, a tokenizer.json, vocab.json with "
        "merges.txt, vocab.txt",
    )
    parser.add_argument("--output", type=typed_path, required=True, help="the folder to make")
    parser.add_argument(
        "--split",
        metavar="NAME=SHARE,…",
        help=f"divide the documents into sets below --output, such as {EXAMPLE}: by a hash of the "
        "text, so that equal documents are never in two; one set may be left without a share",
    )
    parser.add_argument(
        "--workers", default=1, metavar="N", help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "--shard-size",
        default=SHARD_SIZE,
        metavar="SIZE",
        help=f"tokens in a file, in bytes (default: {SHARD_SIZE // 10**6}MB)",
    )
    parser.add_argument(
        "--clean", choices=[*PRESETS], default="none", help="what to clean (default: %(default)s)"
    )
    parser.add_argument(
        "--against",
        type=typed_path,
        action="append",
        default=[],
        metavar="SHARDS",
        help="leave out what an existing shard set holds already, as duplicates.… says; may be "
        "repeated",
    )
    parser.add_argument(
        "--rejects",
        type=typed_path,
        metavar="FILE",
        help="write what is left out, as JSON lines in gzip",
    )
    return parser
