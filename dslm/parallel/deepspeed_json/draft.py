"""A DeepSpeed JSON while it is rewritten: every change is noted with its reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dslm.errors import Problem

ABSENT = object()
"""What `Draft.of` finds where there is nothing."""


@dataclass(frozen=True)
class Change:
    """One change."""

    where: str
    """The key, with dots."""
    what: str
    """What was done, such as ``removed``."""
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.why}"


class Draft:
    """The file as it becomes.

    Args:
        config: as it was read; it stays as it is.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config: dict[str, Any] = copy.deepcopy(dict(config))
        self.changes: list[Change] = []
        self.words: dict[str, Any] = {}
        """What belongs on the command line of a run."""
        self.missing: list[Problem] = []
        """What only a person can give."""

    def of(self, path: str) -> Any:
        """The value at a path, or `ABSENT`."""
        found: Any = self.config
        for name in path.split("."):
            if not isinstance(found, dict) or name not in found:
                return ABSENT
            found = found[name]
        return found

    def has(self, path: str) -> bool:
        """Whether there is something at a path."""
        return self.of(path) is not ABSENT

    def remove(self, path: str, why: str) -> Any:
        """Take a key out; returns what it held."""
        value = self._pop(path)
        self.changes.append(Change(path, f"removed {_short(value)}", why))
        return value

    def put(self, path: str, value: Any, why: str) -> None:
        """Set a key, whose block need not be there."""
        *parents, leaf = path.split(".")
        block = self.config
        for name in parents:
            if not isinstance(block.get(name), dict):
                block[name] = {}
            block = block[name]
        before = f"{_short(block[leaf])} → " if leaf in block else "added "
        block[leaf] = value
        self.changes.append(Change(path, f"{before}{_short(value)}", why))

    def move(self, old: str, new: str, why: str) -> None:
        """Give a key another name; what is there already stays."""
        value = self._pop(old)
        if self.has(new):
            self.changes.append(Change(old, f"removed {_short(value)}", f"{new} is there"))
            return
        *parents, leaf = new.split(".")
        block = self.config
        for name in parents:
            block = block.setdefault(name, {})
        block[leaf] = value
        self.changes.append(Change(old, f"is now {new}", why))

    def say(self, key: str, value: Any) -> None:
        """Note a setting for the command line of a run."""
        self.words[key] = value

    def paths(self) -> list[str]:
        """Every path there is, a block before what it holds."""
        return list(_paths(self.config, ""))

    def _pop(self, path: str) -> Any:
        *parents, leaf = path.split(".")
        block: Any = self.config
        for name in parents:
            block = block[name]
        return block.pop(leaf)


def _paths(block: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name, value in block.items():
        yield prefix + name
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{name}.")


def _short(value: Any) -> str:
    """A value, or what stands for one that is long."""
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    return json.dumps(value)
