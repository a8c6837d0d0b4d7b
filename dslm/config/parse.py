"""From a nested dictionary to a frozen settings object, with every mistake reported at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dslm.config.help import Key, keys
from dslm.errors import ConfigError, Problem, suggest

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""For every settings class: no unknown key, no silent conversion (``"8"`` is not 8)."""

T = TypeVar("T")

RULES = {
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
}

WORDS = {"True": "true", "False": "false", "None": "null"}
"""Python's words, and JSON's for the same."""


def parse(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a settings object.

    Args:
        cls: a settings class.
        values: what JSON can hold, nested like the class.

    Raises:
        ConfigError: with one problem for each unknown, missing or wrongly typed key.
    """
    try:
        return TypeAdapter(cls).validate_json(json.dumps(values))
    except ValidationError as error:
        known = keys(cls)
        problems = [_problem(dict(detail), known) for detail in error.errors(include_url=False)]
        by_key = {problem.where: problem for problem in problems}  # one line for all of a union
        raise ConfigError(*by_key.values()) from None


def _problem(detail: dict[str, Any], known: Mapping[str, Key]) -> Problem:
    path = [str(part) for part in detail["loc"]]
    while path and ".".join(path) not in known and detail["type"] != "unexpected_keyword_argument":
        path.pop()  # pydantic adds the branch of a union, which is not a key
    where = ".".join(path) or "configuration"
    found = detail["input"]
    if detail["type"] == "unexpected_keyword_argument":
        return Problem(where, found, "unknown key", _nearest(where, known))
    if detail["type"] == "missing":
        first = _first_below(where, known) or where
        return Problem(first, None, "is required", f"add {first}=…")
    if detail["type"] not in RULES:
        return Problem(where, found, f"must be {known[where].type}", _mended(found, where, known))
    rule = RULES[detail["type"]].format(**detail.get("ctx", {}))
    fix = suggest(found, known[where].options) if detail["type"] == "literal_error" else ""
    return Problem(where, found, rule, fix)


def _nearest(where: str, known: Mapping[str, Key]) -> str:
    """The known key that an unknown one most likely means, at its own depth or at another."""
    parent, _, leaf = where.rpartition(".")
    siblings = [key for key in known if key.rpartition(".")[0] == parent]
    near = suggest(where, siblings)
    if near:
        return near
    elsewhere = [key for key in known if key.rpartition(".")[2] == leaf]
    if elsewhere:
        return f"did you mean {elsewhere[0]!r}?"
    return suggest(where, known, "see --help for every key")


def _mended(found: Any, where: str, known: Mapping[str, Key]) -> str:
    """The fix for a value of the wrong type: what was most likely meant."""
    kind, first = known[where].type, _first_below(where, known)
    if first:
        return f"write {first}=…"
    if isinstance(found, str):
        word = WORDS.get(found)
        return f"write {where}={word}" if word and word in kind else ""
    if isinstance(found, float) and found.is_integer() and "whole number" in kind:
        return f"write {where}={int(found)}"
    if isinstance(found, (int, float)) and "text" in kind:
        return f"write {where}='\"{found}\"'"
    return ""


def _first_below(where: str, known: Mapping[str, Key]) -> str:
    """The first key of a group of keys; nothing for a key that is no group."""
    return next((key for key in known if key.startswith(f"{where}.")), "")


Count = Annotated[int, Field(ge=0)]
