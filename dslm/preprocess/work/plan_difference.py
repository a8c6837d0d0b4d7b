"""What differs between two plans, for a user who repeats a command with other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dslm.errors import DataError, Problem

SHOWN = 5
"""Differences that are named one by one."""


def refuse_other(folder: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> DataError:
    """The error for a work folder in which another plan was begun.

    Args:
        folder: where.
        there: the plan found there.
        wanted: that of the command.
    """
    if there.get("format") != wanted.get("format"):
        rule = "holds unfinished work of another version of dslm"
        fix = "finish it with that version, remove the folder, or choose another --output"
        return DataError(Problem(str(folder), None, rule, fix))
    found = differences(there, wanted)
    shown = list(islice(found, SHOWN))
    if more := sum(1 for _ in found):
        shown.append(f"and {more} more")
    rule = f"holds unfinished work of another command: {', '.join(shown)}"
    fix = "repeat that command, remove the folder, or choose another --output"
    return DataError(Problem(str(folder), None, rule, fix))


def differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two plans, each in a few words; `shard` says what they hold."""
    inputs = [{name: state for name, *state in plan["inputs"]} for plan in (there, wanted)]
    yield from _inputs(*inputs)
    if inputs[0] == inputs[1] and [*inputs[0]] != [*inputs[1]]:
        yield "the inputs had another order"
    before, now = dict(_flat(there)), dict(_flat(wanted))
    for key in dict.fromkeys([*before, *now]):
        if before.get(key) != now.get(key):
            yield f"{key} was {before.get(key)!r}"


def _inputs(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*there, *wanted]):
        if name not in wanted:
            yield f"input {name} is missing"
        elif name not in there:
            yield f"input {name} is new"
        elif there[name] != wanted[name]:
            yield f"input {name} has changed"


def _flat(plan: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The values of all blocks but the inputs, under the names by which a user knows them."""
    for key, value in plan.items():
        if isinstance(value, Mapping):
            yield from _flat(value, "" if key == "settings" else f"{prefix}{key}.")
        elif key != "inputs":
            yield f"{prefix}{key}", value
