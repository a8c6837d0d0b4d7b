"""From a nested dictionary to a frozen settings object, with every mistake reported at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dslm.config.foreign import fits, our_value
from dslm.config.help import Key, keys
from dslm.config.likely import likely, word
from dslm.errors import ConfigError, Problem, nearest, suggest

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""For every settings class: no unknown key, no silent conversion (``"8"`` is not 8)."""

T = TypeVar("T")

RULES = {
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}

UNKNOWN = "unknown key"
"""The rule that a key breaks which the settings do not have."""
MISSING = "is required"
"""The rule that a key breaks which must be given."""
ABSENT = object()
"""What `ParseError.mends` sets a key to that is to be left out."""


class ParseError(ConfigError):
    """Settings with mistakes.

    Args:
        problems: the mistakes.
        mends: what each mistaken key was most likely meant to be, by its dotted name; `None` where
            this cannot be said.
    """

    def __init__(self, *problems: Problem, mends: Mapping[str, Any]) -> None:
        super().__init__(*problems)
        self.mends = mends


def parse(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a settings object.

    Args:
        cls: a settings class.
        values: what JSON can hold, nested like the class.

    Raises:
        ParseError: with one problem for each unknown, missing or wrongly typed key.
    """
    try:
        return TypeAdapter(cls).validate_json(json.dumps(values))
    except ValidationError as error:
        known = keys(cast("Any", cls))
        found = [_problem(dict(detail), known) for detail in error.errors(include_url=False)]
        by_key = {problem.where: problem for problem, _ in found}  # one line for all of a union
        mends = {problem.where: value for problem, value in found}
        raise ParseError(*by_key.values(), mends=mends) from None


def _problem(detail: dict[str, Any], known: Mapping[str, Key]) -> tuple[Problem, Any]:
    """A mistake, and what was most likely meant; `None` where this cannot be said."""
    path = [str(part) for part in detail["loc"]]
    while path and ".".join(path) not in known and detail["type"] != "unexpected_keyword_argument":
        path.pop()  # pydantic adds the branch of a union, which is not a key
    where = ".".join(path) or "configuration"
    found = detail["input"]
    if detail["type"] == "unexpected_keyword_argument":
        return Problem(where, found, UNKNOWN, _nearest(where, found, known)), ABSENT
    if detail["type"] == "missing":
        first = _first_below(where, known) or where
        return Problem(first, None, MISSING, f"add {first}=…"), None
    if detail["type"] == "literal_error":
        return _option(where, found, detail["ctx"]["expected"], known[where].options)
    if detail["type"] in RULES:
        rule = RULES[detail["type"]].format(**detail.get("ctx", {}))
        return Problem(where, found, rule), None
    rule, first = f"must be {known[where].type}", _first_below(where, known)
    if first:
        return Problem(where, found, rule, f"write {first}=…"), None
    if "null" in known[where].type and str(found).lower() in ("none", "null", "nan"):
        return Problem(where, found, rule, f"write {where}=null"), ABSENT
    if found is None:
        is_required = known[where].default is dataclasses.MISSING
        fix = f"write {where}=…" if is_required else f"leave it out, or write {where}=…"
        return Problem(where, None, f"{rule}, not null", fix), None if is_required else ABSENT
    meant = likely(found, known[where].type)
    fix = "" if meant is None else f"write {word(where, meant)}"
    return Problem(where, found, rule, fix), meant


def _option(
    where: str, found: Any, expected: str, options: tuple[Any, ...]
) -> tuple[Problem, str | None]:
    """A value that is none of a few."""
    ours = our_value(where, found)
    near = ours if ours in options else nearest(found, options)
    fix = f"did you mean {near!r}?" if near else ""
    return Problem(where, found, f"must be one of {expected}", fix), near


def _nearest(where: str, found: Any, known: Mapping[str, Key]) -> str:
    """The known key that an unknown one most likely means, at its own depth or at another."""
    parent, _, leaf = where.rpartition(".")
    named = [key for key in known.values() if key.name.rpartition(".")[2] == leaf]
    elsewhere = [key.name for key in named if fits(found, key)] or [key.name for key in named]
    if elsewhere:
        return f"did you mean {' or '.join(map(repr, elsewhere))}?"
    siblings = [key for key in known if key.rpartition(".")[0] == parent]
    return suggest(where, siblings) or suggest(where, known, "see --help for every key")


def _first_below(where: str, known: Mapping[str, Key]) -> str:
    """The first key of a group of keys; nothing for a key that is no group."""
    return next((key for key in known if key.startswith(f"{where}.")), "")


Count = Annotated[int, Field(ge=0)]
