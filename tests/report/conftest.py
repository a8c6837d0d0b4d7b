from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker, training_line, write_run


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    """Writes a run folder: the lines of its log, and what `run.json` and the other files hold."""

    def make(
        lines: Sequence[dict[str, Any] | str],
        files: dict[str, str] | None = None,
        name: str = "run",
        **facts: Any,
    ) -> Path:
        return write_run(tmp_path / name, lines, files, **facts)

    return make


@pytest.fixture
def training() -> LineMaker:
    """A training line of the log; each step takes two seconds and 512 tokens."""

    return training_line
