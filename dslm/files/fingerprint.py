"""What a file is known by: its name, its size and the hash of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT, Count
from dslm.errors import Problem
from dslm.progress import Advance

BLOCK = 1 << 20
"""Bytes read at once."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


@dataclass(config=STRICT, frozen=True)
class Input:
    """One file of text that went in."""

    name: str
    """Its path below the folder that holds all the inputs."""
    bytes: Count
    """Its size as it was found, compressed or not."""
    sha256: Sha256
    """The hash of its bytes."""


@dataclass(frozen=True)
class Expected:
    """A file as a manifest describes it."""

    path: Path
    bytes: int
    sha256: str
    damage: Problem
    """What to report when it holds anything else."""

    def whole(self, advance: Advance | None = None) -> bool:
        """Whether its bytes have the sha256 of the manifest; `advance` as for `file_sha256`."""
        return file_sha256(self.path, advance) == self.sha256


def file_sha256(path: Path, advance: Advance | None = None) -> str:
    """The sha256 of a file in hexadecimal digits.

    Args:
        path: the file.
        advance: called with the number of bytes read, block after block.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            if advance is not None:
                advance(len(block))
    return digest.hexdigest()
