"""Keys that had another name in an earlier version; files and commands may still use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def with_current_names(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same values under today's names; a value that has today's name already stays.

    Args:
        values: what JSON can hold.
        names: today's name of each old one, within the same block: ``{"model.old": "model.new"}``.
    """
    made = dict(values)
    for old, new in names.items():
        *blocks, old_key = old.split(".")
        block: Any = made
        for name in blocks:
            if isinstance(block.get(name), Mapping):
                block[name] = dict(block[name])
            block = block.get(name)
            if not isinstance(block, dict):
                break
        else:
            if old_key in block:
                block.setdefault(new.rpartition(".")[2], block.pop(old_key))
    return made
