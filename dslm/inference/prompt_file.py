"""Prompts and where each comes from: typed, or a line of a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dslm.errors import DataError, Problem
from dslm.files.lines import MARK

JSON_LINES = (".jsonl", ".ndjson", ".json")
"""How the name of a file ends that holds a JSON object a line."""
KEY = "prompt"
TOGETHER = 16
"""Prompts that are completed at once, unless another number is given."""
SHOWN = 10
"""Mistakes of one file that are named one by one."""


@dataclass(frozen=True)
class Prompt:
    """A text to complete."""

    text: str
    where: str = "--prompt"
    """What to call it in a mistake."""


def read_prompts(path: Path) -> list[Prompt]:
    """The prompts of a file: each a line of text, or the ``prompt`` of a JSON object.

    Raises:
        DataError: with each line that holds no prompt; or the file cannot be read or holds none.
    """
    try:
        lines = path.read_bytes().removeprefix(MARK).splitlines()
    except OSError as error:
        rule = f"cannot be read: {error.strerror}"
        raise DataError(Problem("--prompts", str(path), rule, "give a file of prompts")) from None
    if not lines:
        rule, fix = "holds no prompts", "write one a line"
        raise DataError(Problem("--prompts", str(path), rule, fix))
    is_json = path.suffix.lower() in JSON_LINES
    found, problems = list[Prompt](), list[Problem]()
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number}"
        try:
            found.append(Prompt(_of_json(line) if is_json else _of_text(line), where))
        except _WrongLineError as error:
            problems.append(Problem(where, None, *error.args))
    if problems:
        raise DataError(*first(problems, str(path)))
    return found


def first(problems: Sequence[Problem], where: str) -> list[Problem]:
    """The first problems of many, and how many there are more."""
    if len(problems) <= SHOWN:
        return list(problems)
    more = Problem(where, None, f"{len(problems) - SHOWN:,} lines more cannot be used")
    return [*problems[:SHOWN], more]


class _WrongLineError(ValueError):
    """A line without a prompt: the rule and the fix."""


def _of_text(line: bytes) -> str:
    """The prompt of a line of text."""
    text = _decoded(line)
    if not text.strip():
        fix = f'remove it; a JSON line {{"{KEY}": ""}} in a file *.jsonl begins a document'
        raise _WrongLineError("is empty", fix)
    return text


def _of_json(line: bytes) -> str:
    """The prompt of a JSON object."""
    example = f'write {{"{KEY}": "The"}}'
    try:
        record = json.loads(_decoded(line))
    except ValueError as error:
        if isinstance(error, _WrongLineError):
            raise
        raise _WrongLineError("is no JSON", example) from None
    if not isinstance(record, dict) or KEY not in record:
        raise _WrongLineError(f'has no "{KEY}"', example)
    text = record[KEY]
    if not isinstance(text, str):
        raise _WrongLineError(f'"{KEY}" must be a text', example)
    return text


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise _WrongLineError("is not UTF-8", "save the file as UTF-8") from None
