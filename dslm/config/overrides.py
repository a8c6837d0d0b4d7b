"""Layers of settings: a JSON file and ``key=value`` words over a preset."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dslm.errors import ConfigError, Problem


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ConfigError: no such file, not JSON (with line and column), a key twice, or no object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except OSError as error:
        raise ConfigError(Problem(str(path), None, f"cannot be read ({error.strerror})")) from None
    except UnicodeDecodeError:
        raise ConfigError(Problem(str(path), None, "is not UTF-8 text")) from None
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise ConfigError(Problem(where, None, f"is not JSON ({error.msg})")) from None
    except _DuplicateKeyError as error:
        raise ConfigError(Problem(str(path), None, f"has the key {error} twice")) from None
    if not isinstance(values, dict):
        raise ConfigError(Problem(str(path), None, "must hold a JSON object, {…}"))
    return values


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
        node[leaf] = _value(text)
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


class _DuplicateKeyError(Exception):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(repr(next(name for name in names if names.count(name) > 1)))
    return values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
