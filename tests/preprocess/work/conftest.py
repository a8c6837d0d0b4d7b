"""A work folder that has been begun."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.work_plan import PLAN

from dslm.preprocess.work.folder import WorkFolder


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    folder = WorkFolder.beside(tmp_path / "set")
    with folder.joined(PLAN):
        return folder
