"""The options that every command which reads text has in common."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, get_args, get_type_hints

from dslm.commands.cli import Parser
from dslm.errors import Problem
from dslm.preprocess.read.reading import LEAST, ReadingConfig
from dslm.preprocess.read.registry import FORMATS
from dslm.preprocess.work.rejects import MAX_BAD
from dslm.progress import counted

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

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
        type=os.path.expanduser,
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
        metavar="C",
        help="tables: what stands between cells (default: a comma in .csv, a tab in .tsv)",
    )
    parser.add_argument(
        "--quote",
        metavar="C",
        help='tables: what stands around cells, or none (default: " in .csv, none in .tsv)',
    )
    parser.add_argument(
        "--longest",
        default=ReadingConfig.longest,
        metavar="SIZE",
        help="characters: longer text is cut at a paragraph's end, a longer record is refused "
        f"(default: {ReadingConfig.longest // 10**6}MB)",
    )
    parser.add_argument(
        "--max-bad",
        default=MAX_BAD,
        metavar="N",
        help="broken records to leave out before stopping (default: %(default)s)",
    )


def convert(
    options: argparse.Namespace, kinds: Mapping[str, Callable[[str], Any]]
) -> list[Problem]:
    """Replace what was typed for some options by what it means; what it cannot mean is returned.

    Args:
        options: their values, changed in place; one that is wrong becomes `None`.
        kinds: what reads the value of each, by name; it raises `UnfitError`.
    """
    problems = []
    for name, kind in {**KINDS, **kinds}.items():
        typed = getattr(options, name)
        if not isinstance(typed, str):
            continue
        try:
            setattr(options, name, kind(typed))
        except UnfitError as error:
            setattr(options, name, None)
            problems.append(Problem(f"--{name.replace('_', '-')}", typed, *error.args))
    if options.quote in ([options.delimiter] if options.delimiter else [",", "\t"]):
        rule, fix = "stands between cells already", "choose another, or none"
        problems.append(Problem("--quote", options.quote, rule, fix))
    return problems


def reading(options: argparse.Namespace) -> ReadingConfig:
    """How to read text, as the options say."""
    return ReadingConfig(**{name: getattr(options, name) for name in SETTINGS})


def given(options: argparse.Namespace) -> list[str]:
    """The words with which another command reads the same text, its inputs aside."""
    values = {name: getattr(options, name) for name in SETTINGS}
    changed = {name: one for name, one in values.items() if one != getattr(ReadingConfig, name)}
    if options.max_bad != MAX_BAD:
        changed["max_bad"] = options.max_bad
    more = ((f"--{name.replace('_', '-')}", str(one)) for name, one in changed.items())
    return [*chain.from_iterable(more)]


class UnfitError(ValueError):
    """A value that an option cannot have: with the rule, and what to write instead."""


def size(text: str) -> int:
    """A number of bytes: ``64MB``, ``1.5GB``; without a unit only if nobody forgot one."""
    number, unit = _measured(text)
    if not unit and number < UNITS["MB"]:
        raise UnfitError(f"means {counted(int(number), 'byte')}", f"write {text.strip()}MB")
    return int(number)


def length(text: str) -> int:
    """Characters of the longest text, written as a `size`."""
    number, _ = _measured(text)
    if number < LEAST:
        raise UnfitError(f"is less than {LEAST} characters", f"write {LEAST} or more")
    return int(number)


def _measured(text: str) -> tuple[float, str]:
    """A number with its unit taken in, and the unit."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]?B|)", text.strip().upper())
    if not found or float(found[1]) * UNITS[found[2]] < 1:
        raise UnfitError("is not a size", "write one such as 256MB")
    return float(found[1]) * UNITS[found[2]], found[2]


def character(text: str) -> str:
    """One character that can stand in a line, such as ``;``; a tab is also written ``tab``."""
    text = "\t" if text in ("\\t", "tab") else text
    if len(text) != 1 or text in "\r\n\0" or "\ud800" <= text <= "\udfff":
        raise UnfitError("is not one character", "write one such as ';', or tab")
    return text


def quote(text: str) -> str:
    """A `character`, or none."""
    return text if text == "none" else character(text)


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise UnfitError("is not a whole number of at least 1", "write one such as 1")
    return int(text)


def natural(text: str) -> int:
    """A whole number, at least 0."""
    if not text.isdecimal():
        raise UnfitError("is not a whole number", "write one such as 0")
    return int(text)


KINDS: dict[str, Callable[[str], Any]] = {
    "longest": length,
    "max_bad": natural,
    "delimiter": character,
    "quote": quote,
}
"""What reads the options of `add_text_options`."""
