from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from helpers.run_folders import LineMaker, RunMaker


@pytest.fixture
def make_run(tmp_path: Path) -> RunMaker:
    """Writes a run folder: the lines of its log, and what `run.json` and the other files hold."""

    def make(
        lines: Sequence[dict[str, Any] | str], files: dict[str, str] | None = None, **facts: Any
    ) -> Path:
        run = tmp_path / "run"
        run.mkdir()
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (run / "metrics.jsonl").write_text("\n".join(texts), encoding="utf-8")
        (run / "run.json").write_text(json.dumps({"format": 1, **facts}), encoding="utf-8")
        for name, text in (files or {}).items():
            (run / name).write_text(text, encoding="utf-8")
        return run

    return make


@pytest.fixture
def training() -> LineMaker:
    """A training line of the log; each step takes two seconds and 512 tokens."""

    def line(step: int, loss: float | None, **values: Any) -> dict[str, Any]:
        plain = {"tokens": 512 * step, "seconds": 2.0 * step, "tokens_per_second": 256.0}
        return {"step": step, "loss": loss, **plain, **values}

    return line
