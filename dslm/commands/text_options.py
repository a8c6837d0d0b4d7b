"""The options that every command which reads text has in common."""

from __future__ import annotations

import argparse
import re
from itertools import chain
from typing import get_args, get_type_hints

from dslm.commands.cli import Parser
from dslm.errors import Problem, UserError
from dslm.preprocess.read.reading import LEAST, ReadingConfig
from dslm.preprocess.read.registry import FORMATS
from dslm.preprocess.work.rejects import MAX_BAD

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

CHOICES = {
    "documents": "plain text: one document a file, a block between blank lines, or a line",
    "encoding": "utf-8, or detect it for each file",
    "invalid_utf8": "what happens to text that cannot be decoded",
}

SETTINGS = (*CHOICES, "text_key", "longest", "delimiter", "quote")
"""Options that are settings of `ReadingConfig`."""


def add_text_options(parser: Parser) -> None:
    """Add ``--input`` and how to read it."""
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
        required=True,
        metavar="PATTERN",
        help=f"files, folders or quoted patterns; {', '.join(form.name for form in FORMATS)}, each "
        "plain or packed (.gz .zst .bz2 .xz); may be repeated",
    )
    hints = get_type_hints(ReadingConfig)
    for name, meaning in CHOICES.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=get_args(hints[name]),
            default=getattr(ReadingConfig, name),
            help=f"{meaning} (default: %(default)s)",
        )
    parser.add_argument(
        "--text-key",
        default=ReadingConfig.text_key,
        metavar="KEY",
        help="where a JSON record or a table holds its text: a key, a path such as a.b or "
        "paragraphs[], a column (default: %(default)s)",
    )
    parser.add_argument(
        "--delimiter",
        type=character,
        metavar="C",
        help="tables: what stands between cells (default: a comma in .csv, a tab in .tsv)",
    )
    parser.add_argument(
        "--quote",
        type=lambda text: text if text == "none" else character(text),
        metavar="C",
        help='tables: what stands around cells, or none (default: " in .csv, none in .tsv)',
    )
    parser.add_argument(
        "--longest",
        type=length,
        default=ReadingConfig.longest,
        metavar="SIZE",
        help="characters: longer text is cut at a paragraph's end, a longer record is refused "
        f"(default: {ReadingConfig.longest // 10**6}MB)",
    )
    parser.add_argument(
        "--max-bad",
        type=natural,
        default=MAX_BAD,
        metavar="N",
        help="broken records to leave out before stopping (default: %(default)s)",
    )


def reading(options: argparse.Namespace) -> ReadingConfig:
    """How to read text, as the options say.

    Raises:
        UserError: delimiter and quote are one character.
    """
    quote = options.quote or '"'
    if quote in ([options.delimiter] if options.delimiter else [",", "\t"]):
        rule = "stands between cells already"
        raise UserError(Problem("--quote", quote, rule, "choose another, or none"))
    return ReadingConfig(**{name: getattr(options, name) for name in SETTINGS})


def given(options: argparse.Namespace) -> list[str]:
    """The words with which another command reads the same text."""
    values = {name: getattr(options, name) for name in SETTINGS}
    changed = {name: one for name, one in values.items() if one != getattr(ReadingConfig, name)}
    if options.max_bad != MAX_BAD:
        changed["max_bad"] = options.max_bad
    more = ((f"--{name.replace('_', '-')}", str(one)) for name, one in changed.items())
    return ["--input", *options.input, *chain.from_iterable(more)]


def size(text: str) -> int:
    """A number of bytes: ``4096``, ``64MB``, ``1.5GB``."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]B|)", text.strip().upper())
    if not found or float(found[1]) * UNITS[found[2]] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256MB")
    return int(float(found[1]) * UNITS[found[2]])


def length(text: str) -> int:
    """Characters of the longest text, written as a `size`."""
    if (found := size(text)) < LEAST:
        raise argparse.ArgumentTypeError(f"{text!r} is less than {LEAST} characters")
    return found


def character(text: str) -> str:
    """One character that can stand in a line, such as ``;``; a tab is also written ``tab``."""
    text = "\t" if text in ("\\t", "tab") else text
    if len(text) != 1 or text in "\r\n\0" or "\ud800" <= text <= "\udfff":
        raise argparse.ArgumentTypeError(f"{text!r} is not one character, such as ;")
    return text


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def natural(text: str) -> int:
    """A whole number, at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)
