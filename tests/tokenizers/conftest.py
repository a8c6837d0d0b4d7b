"""Tokenizers that several files of tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.hub import train_each_kind


@pytest.fixture(scope="session")
def trained_tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tokenizers of ours of every kind."""
    return train_each_kind(tmp_path_factory.mktemp("tokenizers"))
