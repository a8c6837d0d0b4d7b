"""Reads files piece by piece and keeps what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dslm.data.document import Document, Rejected
from dslm.data.read.documents import documents
from dslm.data.read.pieces import pieces
from dslm.data.read.reading import Reading

HUGE = 1 << 40


@dataclass
class Found:
    """What came of a file."""

    documents: list[Document] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    told: int = 0

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
        self.told += amount


@pytest.fixture(scope="session")
def read() -> Callable[..., Found]:
    """Reads one input: ``read(path, size, text_key=…)``."""

    def reads(path: Path, size: int = HUGE, **choices: Any) -> Found:
        found, reading = Found(), Reading(**choices)
        for piece in pieces([path], reading, size):
            made = documents(piece, reading, found.rejected.append, found.advance, found.counts)
            found.documents.extend(made)
        return found

    return reads


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file: ``make(content, name)``."""

    def makes(content: bytes | str, name: str = "input") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return makes
