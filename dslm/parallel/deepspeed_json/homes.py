"""Paths in DeepSpeed's JSON that begin with ``~``, which DeepSpeed takes for a folder's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("nvme_path", "output_path", "output_file")
"""The keys that hold a path, in whatever block."""


def with_homes(config: Mapping[str, Any]) -> dict[str, Any]:
    """A file with the user's home in place of ``~``.

    Args:
        config: as read from the file; it may hold mistakes, which are reported elsewhere.
    """
    made = dict(config)
    for key, value in made.items():
        if isinstance(value, Mapping):
            made[key] = with_homes(value)
        elif key in NAMES and isinstance(value, str) and value.startswith("~/"):
            made[key] = str(Path(value).expanduser())
    return made
