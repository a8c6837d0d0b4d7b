"""Layers of settings: ``key=value`` words over a file over a preset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from dslm.errors import ConfigError, Problem


def parse_words(words: Iterable[str]) -> dict[str, Any]:
    """Turn ``model.layers=4 data.train=shards`` into a nested dictionary.

    A value is read as JSON where it is JSON (``4``, ``true``, ``{"a": 1}``), else as text.

    Raises:
        ConfigError: for words without ``=`` and for a key that is given twice.
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
        node[leaf] = read_value(text)
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


def read_value(text: str) -> Any:
    """What stands behind ``=``: JSON where it is JSON, else text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
