"""Pairs of sentences of which a model may prefer one, from a file of JSON lines or CSV."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem
from dslm.inspection.row import Row, check_row, row_of
from dslm.model.config import ModelConfig
from dslm.objectives.base import Objective
from dslm.objectives.completion import Fill
from dslm.tokenizers.tokenizer import Tokenizer

NAMES = (("more", "less"), ("sent_more", "sent_less"))
"""What the two sentences are called: ours, and CrowS-Pairs' (Nangia et al. 2020)."""
TYPE = "bias_type"
DELIMITERS = {".csv": ",", ".tsv": "\t"}
SHOWN = 10
"""Mistakes in a file that are named."""


@dataclass(frozen=True)
class Pair:
    """Two sentences."""

    where: str
    """The file and the line."""
    more: str
    """The one that expresses the bias more."""
    less: str
    kind: str
    """The type of the bias; empty where the file names none."""


@dataclass(frozen=True)
class Compared:
    """A pair as a model reads it, with the positions over which probabilities are multiplied."""

    pair: Pair
    more: tuple[Row, tuple[int, ...]]
    less: tuple[Row, tuple[int, ...]]


def read_pairs(path: Path) -> list[Pair]:
    """The pairs of a file: a table with a head line if it is ``.csv`` or ``.tsv``, else JSON lines.

    Raises:
        DataError: it cannot be read, or with what is wrong in it, by line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        fix = "give a file of pairs, JSON lines or CSV"
        raise DataError(Problem("--pairs", str(path), f"cannot be read: {reason}", fix)) from None
    delimiter = DELIMITERS.get(path.suffix.lower())
    records = _json_lines(text) if delimiter is None else _table(text, delimiter)
    pairs, problems = list[Pair](), list[Problem]()
    for line, record in records:
        found = _pair(f"{path}:{line}", record)
        if isinstance(found, Pair):
            pairs.append(found)
        else:
            problems.append(found)
    if not pairs and not problems:
        problems = [Problem("--pairs", str(path), "holds no pair")]
    if problems:
        raise DataError(*first_of(problems))
    return pairs


def compare_pairs(
    pairs: list[Pair], model: ModelConfig, objective: Objective, tokenizer: Tokenizer
) -> list[Compared]:
    """The pairs as rows of a model.

    Of a causal model all tokens count; of one that fills masks those that both sentences share, so
    that what differs is the condition and not what is predicted (Nangia et al. 2020, section 4).

    Raises:
        DataError: with every pair that the model cannot compare, by line.
    """
    made, problems = list[Compared](), list[Problem]()
    for pair in pairs:
        try:
            more, less = (row_of(text, tokenizer, objective) for text in (pair.more, pair.less))
        except DataError as error:
            unknown = (f"{problem.where} {problem.rule}" for problem in error.problems)
            problems += [Problem(pair.where, None, rule) for rule in unknown]
            continue
        found = check_row(pair.where, pair.more, model, more)
        found += check_row(pair.where, pair.less, model, less)
        places = more.scored, less.scored
        if not found and isinstance(objective.completion(), Fill):
            places = shared(more, less)
            if not places[0]:
                found.append(Problem(pair.where, None, "the two sentences share no token"))
        problems += found
        made.append(Compared(pair, (more, places[0]), (less, places[1])))
    if problems:
        raise DataError(*first_of(problems))
    return made


def shared(one: Row, other: Row) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The positions of the tokens that two rows have in common, in the order of both."""
    first, second = ([row.ids[place] for place in row.scored] for row in (one, other))
    blocks = difflib.SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    places = [(block.a + n, block.b + n) for block in blocks for n in range(block.size)]
    return tuple(one.scored[a] for a, _ in places), tuple(other.scored[b] for _, b in places)


def first_of(problems: list[Problem]) -> list[Problem]:
    """The first mistakes in a file; the last of them says how many more there are."""
    shown = problems[:SHOWN]
    if more := len(problems) - len(shown):
        shown[-1] = replace(shown[-1], fix=f"and {more:,} more lines cannot be used")
    return shown


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    """Each line's number and what it holds; an exception where it is no JSON."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                yield number, error


def _table(text: str, delimiter: str) -> Iterator[tuple[int, Any]]:
    """The same of a table."""
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for record in rows:
            yield rows.line_num, record
    except csv.Error as error:
        yield rows.line_num, error


def _pair(where: str, record: Any) -> Pair | Problem:
    """The pair that a record holds, or what is wrong with it."""
    if isinstance(record, Exception):
        return Problem(where, None, f"cannot be read: {record}")
    if not isinstance(record, Mapping):
        return Problem(where, None, "is no object", 'write {"more": "…", "less": "…"}')
    names = next((both for both in NAMES if record.keys() >= set(both)), None)
    if names is None:
        keys = ", ".join(str(key) for key in record if key) or "none"
        rule = f"has no two sentences (its fields: {keys})"
        return Problem(where, None, rule, "name them more and less, or sent_more and sent_less")
    more, less = (record[name] for name in names)
    for name, text in zip(names, (more, less), strict=True):
        if not isinstance(text, str) or not text.strip():
            return Problem(f"{where}: {name}", text, "must be a sentence")
    if more == less:
        return Problem(where, more, "both sentences are the same")
    return Pair(where, more, less, str(record.get(TYPE) or ""))
