"""Wrong settings explained: words of other trainers, and what was most likely meant.

Settings that are mended are checked on, so that one mistake hides no other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from dslm.config.foreign import KEYS, Answer, answer, plain, same_meaning
from dslm.config.help import keys
from dslm.config.overrides import merge
from dslm.config.parse import ABSENT, UNKNOWN, ParseError
from dslm.errors import Problem
from dslm.run.config import RunConfig
from dslm.run.folder import flat
from dslm.run.preset_names import nearest_preset
from dslm.run.preset_shapes import Settings


def explained(error: ParseError, values: Settings) -> tuple[list[Problem], dict[str, Any] | None]:
    """What is wrong with settings, in terms of what was typed.

    Args:
        error: what their class says.
        values: the settings, nested.

    Returns:
        The problems, and what the mistaken keys were meant to be; `None` where that cannot be said.
    """
    known = keys(RunConfig)
    given = flat(values)
    answers = {
        problem.where: said
        for problem in error.problems
        if (problem.rule == UNKNOWN or problem.where in KEYS)
        and (said := answered(problem.where, given.get(problem.where, problem.found)))
    }
    meant = {said.key: said.value for said in answers.values() if said.key in known}
    problems, mends = [], {}
    for problem in error.problems:
        where = problem.where
        if where in answers:
            problems.append(answers[where].problem(where, problem.found))
            mends[where] = ABSENT
        elif where not in meant or problem.found is not None:  # else it is asked for already
            problems.append(problem)
            mends[where] = error.mends[where]
    mends |= meant
    return problems, None if None in mends.values() else mends


def answered(key: str, value: Any) -> Answer | None:
    """What to say to a word of another trainer; `None` where it is not known.

    Args:
        key: as it was typed.
        value: what was given for it.
    """
    known = keys(RunConfig)
    said = answer(key, value, known)
    if said and said.key == "preset":
        near = nearest_preset(value)
        return same_meaning("preset", near, known) if near else said
    return said


def names_preset(values: Mapping[str, Any]) -> bool:
    """Whether another trainer's word names the preset."""
    return any(
        isinstance(value, str) and KEYS.get(plain(key)) == "preset" for key, value in values.items()
    )


def without(values: Settings, keys: Iterable[str]) -> Settings:
    """Settings less some keys."""
    made = copy.deepcopy(values)
    for key in keys:
        *parents, leaf = key.split(".")
        block: Any = made
        for name in parents:
            block = block.get(name) if isinstance(block, dict) else None
        if isinstance(block, dict):
            block.pop(leaf, None)
    return made


def nested(values: Mapping[str, Any]) -> Settings:
    """Settings by their dotted keys, nested; those that are `ABSENT` are left out."""
    made: Settings = {}
    for key, value in values.items():
        if value is not ABSENT:
            for name in reversed(key.split(".")):
                value = {name: value}
            made = merge(made, value)
    return made
