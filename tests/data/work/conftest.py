"""A work folder that has been begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from dslm.data.work.folder import WorkFolder


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    folder = WorkFolder.beside(tmp_path / "set")
    folder.begin({"inputs": ["a"]})
    return folder
