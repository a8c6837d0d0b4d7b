"""What one key of DeepSpeed's JSON may hold: pydantic decides, these functions put it into words.

JSON's own types are kept apart, as DeepSpeed does not: true is no number, and 1 is not true.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dslm.config.likely import likely
from dslm.config.parse import STRICT

TYPES = {
    "boolean": "true or false",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
}
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
"""JSON Schema's words, and ours for the same."""


def value_type(annotation: Any) -> TypeAdapter[Any]:
    """The values that a Python type describes, without silent conversion."""
    return TypeAdapter(annotation, config=STRICT)


def accepts(kind: TypeAdapter[Any], value: Any) -> bool:
    """Whether the value may stay as it is written."""
    try:
        kind.validate_python(value)
    except ValidationError:
        return False
    return True


def options(kind: TypeAdapter[Any]) -> list[str]:
    """The allowed values, where they are few."""
    return [option for branch in _branches(kind.json_schema()) for option in branch.get("enum", ())]


def words(kind: TypeAdapter[Any]) -> str:
    """What may be written, to complete the sentence "must be …"."""
    return _words(kind.json_schema())


def _words(schema: Mapping[str, Any]) -> str:
    return ", or ".join(map(_branch_words, _branches(schema)))


def _branches(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alternatives but null, DeepSpeed's word for its own default."""
    branches = schema.get("anyOf", [schema])
    return [branch for branch in branches if branch.get("type") != "null"]


def _branch_words(schema: Mapping[str, Any]) -> str:
    if "const" in schema or "enum" in schema:
        return " or ".join(map(json.dumps, schema.get("enum") or [schema["const"]]))
    if schema["type"] == "array":
        count = f"{schema['minItems']} values, " if "minItems" in schema else ""
        return f"a list of {count}each {_words(schema['items'])}"
    name = TYPES["integer" if "multipleOf" in schema else schema["type"]]
    limits = [f"{word} {schema[key]}" for key, word in BOUNDS.items() if key in schema]
    return f"{name}, {' and '.join(limits)}" if limits else name


def guess(kind: TypeAdapter[Any], value: Any) -> Any:
    """What a wrong value was most likely meant to be (8 for "8" or 8.0, true for 1), or `None`."""
    guesses = (*_guesses(value), likely(value, words(kind)))
    return next((one for one in guesses if one is not None and accepts(kind, one)), None)


def likely_fix(kind: TypeAdapter[Any], value: Any) -> str:
    """The fix for a wrong value.

    Returns:
        ``write …``, or nothing when no guess is better than the rule itself.
    """
    meant = guess(kind, value)
    return "" if meant is None else f"write {json.dumps(meant)}"


def _guesses(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        yield value.lower()
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(value.lower())
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(f"[{value.strip('()[] ')}]")
    if isinstance(value, float) and value.is_integer():
        yield int(value)
    if value in (0, 1) and not isinstance(value, bool):
        yield bool(value)
    yield [value]
