"""Every key of a settings class with its type, default and meaning, read from the class itself."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any


@dataclass(frozen=True)
class Key:
    """One key of a settings class, as ``--help`` shows it."""

    name: str
    """The dotted path, such as ``model.layers``."""
    type: str
    """The type in a reader's words, such as ``a whole number`` or ``text or null``."""
    default: Any
    """The default as JSON would hold it; `dataclasses.MISSING` when the key is required."""
    meaning: str
    """The string under the field, or the description of its `pydantic.Field`."""
    options: tuple[Any, ...] = ()
    """The allowed values, where they are few."""


@cache
def keys(cls: Any, prefix: str = "") -> dict[str, Key]:
    """Every dotted key of a settings class, nested classes included (and named themselves)."""
    found: dict[str, Key] = {}
    hints, meanings = typing.get_type_hints(cls), _meanings(cls)
    for name, field in cls.__pydantic_fields__.items():
        path = prefix + name
        nested = _settings_class(hints[name])
        default = (
            dataclasses.MISSING
            if field.is_required()
            else field.get_default(call_default_factory=True)
        )
        kind, options = _type_name(hints[name]), _options(hints[name])
        found[path] = Key(path, kind, default, field.description or meanings.get(name, ""), options)
        if nested is not None:
            found.update(keys(nested, path + "."))
    return found


def names(cls: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of a settings class, as `keys` has them, without reading its source."""
    hints = typing.get_type_hints(cls)
    for name in cls.__pydantic_fields__:
        yield prefix + name
        if (nested := _settings_class(hints[name])) is not None:
            yield from names(nested, f"{prefix}{name}.")


def _meanings(cls: Any) -> dict[str, str]:
    """The string under each field; its source is read only when a user asks, for that is slow."""
    found = {}
    for base in filter(_settings_class, reversed(cls.__mro__)):
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        for field, below in pairwise(typing.cast(ast.ClassDef, tree).body):
            match field, below:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(meaning))):
                    found[name] = inspect.cleandoc(meaning)
    return found


def describe(cls: Any, values: dict[str, Any]) -> str:
    """The ``--help`` text: each key with type, default (or the preset's value) and meaning.

    Args:
        cls: a settings class.
        values: a preset's nested values, shown instead of the defaults.
    """
    lines = []
    for key in keys(cls).values():
        if _settings_class_at(cls, key.name):
            continue
        value = _lookup(values, key.name, key.default)
        shown = "required" if value is dataclasses.MISSING else f"default {_json(value)}"
        lines.append(f"  {key.name}  ({key.type}; {shown})")
        lines.append(
            textwrap.fill(key.meaning, 96, initial_indent=" " * 6, subsequent_indent=" " * 6)
        )
    return "\n".join(lines)


def _settings_class(hint: Any) -> Any | None:
    return hint if dataclasses.is_dataclass(hint) else None


def _settings_class_at(cls: Any, path: str) -> bool:
    for part in path.split("."):
        cls = typing.get_type_hints(cls)[part]
    return _settings_class(cls) is not None


def _options(hint: Any) -> tuple[Any, ...]:
    """The values of a literal, which may be null as well."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return arguments
    return tuple(option for argument in arguments for option in _options(argument))


def _type_name(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_name(argument) for argument in arguments)
    if _settings_class(hint):
        return "a group of keys"
    if origin in (tuple, list):
        return f"[{_type_name(arguments[0])}, …]"
    if origin is dict:
        return f"{{{_type_name(arguments[0])}: {_type_name(arguments[1])}}}"
    names = {
        str: "text",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(hint, getattr(hint, "__name__", str(hint)))


def _lookup(values: Any, path: str, otherwise: Any) -> Any:
    for part in path.split("."):
        if not isinstance(values, dict) or part not in values:
            return otherwise
        values = values[part]
    return values


def _json(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (bool, tuple, type(None))) else str(value)
