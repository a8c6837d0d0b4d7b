"""``train_tokenizer``: a tokenizer folder from text."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

from dslm.commands.cli import Parser, typed_path
from dslm.commands.next_steps import by_role, folded
from dslm.commands.shard_checks import look, unwritable
from dslm.commands.shard_screens import NOTABLE, became
from dslm.commands.text_options import (
    add_text_options,
    convert,
    count,
    given,
    reading,
    size,
)
from dslm.environment import cores
from dslm.errors import DataError, Problems
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.train_tokenizer import SAMPLE_BYTES, TokenizerConfig, train_tokenizer
from dslm.preprocess.work.split import EXAMPLE, Split, longest, too_coarse
from dslm.progress import Progress
from dslm.shards.statistics import Statistics
from dslm.tokenizers.tokenizer import TokenizerKind

DESCRIPTION = """\
Make a tokenizer from text.

  python preprocess/train_tokenizer.py --input 'corpus/*.txt' --model-type unigram \\
      --vocab-size 8000 --output tok
"""


KINDS = {"vocab_size": count, "sample_bytes": size}
"""What reads options of this command alone; see `text_options.convert`."""


def main(arguments: list[str]) -> None:
    """Parse, train, print what was made."""
    options = _parser().parse_args(arguments)
    paths, training = _checked(options)
    statistics = Statistics()
    with Progress(sum(map(text_bytes, paths)), "B", "reading") as progress:
        tokenizer, made = train_tokenizer(
            paths,
            options.output,
            training,
            progress.advance,
            partial(_report, progress),
            options.max_bad,
            statistics,
        )
    end = "each document ends with <eos>" if tokenizer.end_of_document else "no special tokens"
    print(f"{options.output}{'' if made else ' (already there)'}")
    print(f"  {tokenizer.kind}, {tokenizer.vocabulary:,} ids, {end}")
    for line in became(statistics):
        print(line)
    invisible = tokenizer.card.invisible
    is_unclean = sum(invisible.values()) >= NOTABLE * sum(map(text_bytes, paths))
    if is_unclean:
        found = ", ".join(f"{number:,} {name}" for name, number in invisible.items())
        print(f"  warning: the text holds {found}; --clean text, as below, takes them out")
    print("next:")
    for line in _next(options, paths, tokenizer.card.documents, is_unclean):
        print(f"  python preprocess/shard.py {line}")


def _checked(options: argparse.Namespace) -> tuple[list[Path], TokenizerConfig]:
    """The inputs, and what to make of them.

    Raises:
        DataError: with all that is wrong with the options or the first records of the text.
    """
    found = Problems()
    found.problems += convert(options, KINDS)
    found.problems += unwritable("--output", options.output)
    paths = found.collect(expand, options.input) or []
    look(paths, options, found)
    training = TokenizerConfig(options.model_type, options.vocab_size)
    if options.vocab_size is not None or "--vocab-size" not in {p.where for p in found.problems}:
        found.problems += training.check()
    if found.problems:
        raise DataError(*found.problems)
    return paths, replace(training, sample_bytes=options.sample_bytes, reading=reading(options))


def _next(
    options: argparse.Namespace, paths: Sequence[Path], documents: int, is_unclean: bool
) -> list[str]:
    """What makes shards of the same text: of each of its parts, or divided where that can be done.

    Args:
        options: how the text was read.
        paths: the inputs.
        documents: how many they hold, if that is known.
        is_unclean: whether many of its characters are invisible.
    """
    inputs = folded(options.input)
    words = [*given(options), "--tokenizer", str(options.output)]
    words += ["--clean", "text"] if is_unclean else []
    workers = ["--workers", str(cores())]
    if parts := by_role(inputs[0]) if len(inputs) == 1 else {}:
        return [
            shlex.join(["--input", pattern, *words, "--output", f"shards/{part}", *workers])
            for part, pattern in parts.items()
        ]
    split = Split.read(EXAMPLE)
    kilobytes = longest(split, sum(map(text_bytes, paths)))
    if too_coarse(split, paths, reading(options)):
        finer = ["--longest", f"{kilobytes}KB"] if kilobytes else []
        divided = ["--split", EXAMPLE, *finer] if finer else []
    else:
        divided = [] if documents and split.few(documents) else ["--split", EXAMPLE]
    output = "shards" if divided else "shards/train"
    return [shlex.join(["--input", *inputs, *words, *divided, "--output", output, *workers])]


def _report(progress: Progress, unit: str, done: float, total: float) -> None:
    """The training's own progress, which follows that of the reading."""
    if progress.unit != unit:
        progress.begin(total, unit, "training")
    progress.reach(done, total)


def _parser() -> Parser:
    parser = Parser("train_tokenizer", DESCRIPTION)
    add_text_options(parser)
    parser.add_argument(
        "--model-type",
        choices=get_args(TokenizerKind),
        default="unigram",
        help="unigram and bpe: pieces of words; char: exactly the characters of the text "
        "(default: %(default)s)",
    )
    parser.add_argument("--vocab-size", metavar="N", help="ids; not for char")
    parser.add_argument(
        "--sample-bytes",
        default=SAMPLE_BYTES,
        metavar="SIZE",
        help="text to train on, at most, spread over all files; char reads everything "
        f"(default: {SAMPLE_BYTES // 10**6}MB)",
    )
    parser.add_argument("--output", type=typed_path, required=True, help="the folder to make")
    return parser
