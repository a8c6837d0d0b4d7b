"""The options that every command which reads text has in common."""

from __future__ import annotations

import argparse
import re
from typing import get_args, get_type_hints

from dslm.commands.run import Parser
from dslm.data.manifest import Reading

UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def add_text_options(parser: Parser) -> None:
    """Add ``--input``, ``--invalid-utf8`` and ``--text-key``."""
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
        required=True,
        metavar="PATTERN",
        help="files or quoted patterns, .txt or .jsonl, plain or .gz; may be repeated",
    )
    parser.add_argument(
        "--invalid-utf8",
        choices=get_args(get_type_hints(Reading)["invalid_utf8"]),
        default=Reading.invalid_utf8,
        help="what happens to a document that is not UTF-8 (default: %(default)s)",
    )
    parser.add_argument(
        "--text-key",
        default=Reading.text_key,
        metavar="KEY",
        help="key of a JSON line that holds its text (default: %(default)s)",
    )


def reading(options: argparse.Namespace) -> Reading:
    """How to read text, as the options say."""
    return Reading(invalid_utf8=options.invalid_utf8, text_key=options.text_key)


def size(text: str) -> int:
    """A number of bytes: ``4096``, ``64MB``, ``1.5GB``."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([KMGT]B|)", text.strip().upper())
    if not found or float(found[1]) * UNITS[found[2]] < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256MB")
    return int(float(found[1]) * UNITS[found[2]])


def count(text: str) -> int:
    """A whole number, at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
