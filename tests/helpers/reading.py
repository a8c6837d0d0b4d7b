"""Reads files piece by piece and keeps what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslm.preprocess.document import Document, Rejected
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.pieces import pieces
from dslm.preprocess.read.reading import ReadingConfig

HUGE = 1 << 40

Make = Callable[..., Path]
"""The fixture that writes a file."""


@dataclass
class Found:
    """What came of a file."""

    documents: list[Document] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    reported: int = 0

    @property
    def texts(self) -> list[str]:
        return [document.text for document in self.documents]

    @property
    def reasons(self) -> list[str]:
        return [one.reason for one in self.rejected]

    @property
    def details(self) -> list[str]:
        return [one.detail for one in self.rejected]

    def advance(self, amount: int) -> None:
        self.reported += amount


def read_all(path: Path, size: int = HUGE, **choices: Any) -> Found:
    """Read one input, in pieces of a size."""
    found, reading = Found(), ReadingConfig(**choices)
    for piece in pieces([path], reading, size):
        made = documents(piece, reading, found.rejected.append, found.advance, found.counts)
        found.documents.extend(made)
    return found


Read = Callable[..., Found]
"""The fixture that reads one input."""
