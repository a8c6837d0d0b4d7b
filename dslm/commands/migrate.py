"""Rewrite a DeepSpeed JSON of before: ``migrate OLD.json key=value … --output NEW.json``."""

from __future__ import annotations

import json
import sys

from dslm.commands.cli import Parser, typed_path
from dslm.config.overrides import merge, parse_words
from dslm.errors import ConfigError
from dslm.files.whole import read_json, write_text
from dslm.parallel.deepspeed_json.migrate import migrate


def main(argv: list[str]) -> None:
    """Print each change and its reason, then the file, or what is needed for it."""
    options = _parser().parse_args(argv)
    config = merge(read_json(options.file), parse_words(options.words))
    draft, problems = migrate(config)
    for change in draft.changes:
        print(change, file=sys.stderr)
    if draft.words:
        words = " ".join(f"{key}={value}" for key, value in draft.words.items())
        print(f"for the run: {words}", file=sys.stderr)
    if problems:
        raise ConfigError(*problems)
    text = json.dumps(draft.config, indent=2) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        write_text(options.output, text)


def _parser() -> Parser:
    parser = Parser(
        "dslm migrate",
        'Rewrite DeepSpeed\'s JSON of older versions, of transformers ("auto") or accelerate into '
        "what\ndslm and the installed DeepSpeed run. Changes go to standard error, each with its "
        "reason; the\nfile to standard output. What only you know is given as key=value.",
        "dslm migrate old.json train_batch_size=256 --output new.json",
    )
    parser.add_argument("file", metavar="OLD.json", type=typed_path, help="the file of before")
    parser.add_argument(
        "words",
        metavar="key=value",
        nargs="*",
        help="as train_batch_size=256 optimizer.params.lr=3e-4",
    )
    here = "write the file here (default: to standard output)"
    parser.add_argument("--output", metavar="NEW.json", type=typed_path, help=here)
    return parser
