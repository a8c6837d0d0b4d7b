"""Files that are whole or not there, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

BLOCK = 1 << 20


def file_sha256(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """The sha256 of a file in hexadecimal digits.

    Args:
        path: the file.
        advance: told the number of bytes read, block after block.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and move it there by one rename."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON; see `write_text`."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
