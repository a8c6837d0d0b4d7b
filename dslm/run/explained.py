"""Wrong settings explained: words of other trainers, and what was most likely meant.

Settings that are mended are checked on, so that one mistake hides no other.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from dslm.config.foreign import KEYS, Answer, answer, same_meaning
from dslm.config.help import Key, keys
from dslm.config.overrides import merge
from dslm.config.parse import ABSENT, UNKNOWN, ParseError
from dslm.errors import Problem
from dslm.run.config import RunConfig
from dslm.run.presets import Settings, nearest_preset


def explained(error: ParseError) -> tuple[list[Problem], dict[str, Any] | None]:
    """What is wrong with settings, in terms of what was typed.

    Args:
        error: what their class says.

    Returns:
        The problems, and what the mistaken keys were meant to be; `None` where that cannot be said.
    """
    known = keys(RunConfig)
    answers = {p.where: said for p in error.problems if (said := answered(p, known))}
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


def answered(problem: Problem, known: Mapping[str, Key]) -> Answer | None:
    """The answer to a key that the settings do not have, or not as a key of its own."""
    if problem.rule != UNKNOWN and problem.where not in KEYS:
        return None
    said = answer(problem.where, problem.found, known)
    if said and said.key == "preset":
        near = nearest_preset(problem.found)
        return same_meaning("preset", near, known) if near else said
    return said


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
