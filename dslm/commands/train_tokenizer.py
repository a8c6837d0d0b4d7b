"""``train_tokenizer``: a tokenizer folder from text."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import get_args

from dslm.commands.cli import Parser
from dslm.commands.shard_screens import became
from dslm.commands.text_options import add_text_options, count, given, reading, size
from dslm.preprocess.read.inputs import expand
from dslm.preprocess.read.kinds import text_bytes
from dslm.preprocess.train_tokenizer import SAMPLE_BYTES, TokenizerConfig, train_tokenizer
from dslm.progress import Progress
from dslm.shards.statistics import Statistics
from dslm.tokenizers.tokenizer import TokenizerKind

DESCRIPTION = """\
Make a tokenizer from text.

  python preprocess/train_tokenizer.py --input 'corpus/*.txt' --model-type unigram \\
      --vocab-size 8000 --output tok
"""


def main(arguments: list[str]) -> None:
    """Parse, train, print what was made."""
    options = _parser().parse_args(arguments)
    paths = expand(options.input)
    training = TokenizerConfig(
        kind=options.model_type,
        vocabulary=options.vocab_size,
        sample_bytes=options.sample_bytes,
        reading=reading(options),
    )
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
    print("next:")
    words = [*given(options), "--tokenizer", str(options.output), "--output", "shards/train"]
    print(f"  python preprocess/shard.py {shlex.join(words)} --workers 2")


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
    parser.add_argument("--vocab-size", type=count, metavar="N", help="ids; not for char")
    parser.add_argument(
        "--sample-bytes",
        type=size,
        default=SAMPLE_BYTES,
        metavar="SIZE",
        help="text to train on, at most, spread over all files; char reads everything "
        f"(default: {SAMPLE_BYTES // 10**6}MB)",
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    return parser
