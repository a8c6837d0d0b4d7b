"""Layers of settings: ``key=value`` words over a file over a preset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dslm.config.repeated import load_json
from dslm.errors import ConfigError, Problem


class Written(float):
    """A number that knows how it was written: ``3e-4``."""

    text: str

    def __new__(cls, text: str | float) -> Written:
        """Read the number."""
        made = super().__new__(cls, text)
        made.text = str(text)
        return made


def parse_words(words: Iterable[str]) -> dict[str, Any]:
    """Turn ``model.layers=4 data.train=shards`` into a nested dictionary.

    A value is read as JSON where it is JSON (``4``, ``true``, ``{"a": 1}``), else as text.

    Raises:
        ConfigError: for words without ``=`` and for a key that is given twice, in JSON as well.
    """
    values: dict[str, Any] = {}
    problems = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            fix = f"write {key}=value" if key[:1].isalpha() else ""
            problems.append(Problem(word, None, "is not key=value", fix))
            continue
        *parents, leaf = key.split(".")
        node = values
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                break
        if not isinstance(node, dict) or leaf in node:
            problems.append(Problem(key, text, "is given twice", "keep one of the two"))
            continue
        node[leaf], repeated = _read(text)
        for name in repeated:
            problems.append(Problem(key, text, f"gives {name!r} twice", "keep one of the two"))
    if problems:
        raise ConfigError(*problems)
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` upon `base`: nested dictionaries are joined, anything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def assignment(key: str, value: Any) -> str:
    """The ``key=value`` word that is read as this value."""
    if isinstance(value, str) and read_value(value) == value:
        return f"{key}={value}"
    return f"{key}={json.dumps(value, ensure_ascii=False)}"


def read_value(text: str) -> Any:
    """What stands behind ``=``: JSON where it is JSON, else text."""
    return _read(text)[0]


def _read(text: str) -> tuple[Any, list[str]]:
    """The value, and the keys that a block of it gives more than once."""
    try:
        return load_json(text, parse_float=Written)
    except json.JSONDecodeError:
        return text, []
