"""Run folders, written line by line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RunMaker = Callable[..., Path]
"""Writes a run folder: ``make_run(lines, files, name, **facts)``."""

LineMaker = Callable[..., dict[str, Any]]
"""Makes a training line of the log: ``training(step, loss, **values)``."""


def write_run(
    run: Path,
    lines: Sequence[dict[str, Any] | str],
    files: dict[str, str] | None = None,
    **facts: Any,
) -> Path:
    """Write a run folder: the lines of its log, and what `run.json` and other files hold."""
    run.mkdir(parents=True)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (run / "metrics.jsonl").write_text("\n".join(texts), encoding="utf-8")
    (run / "run.json").write_text(json.dumps({"format": 1, **facts}), encoding="utf-8")
    for name, text in (files or {}).items():
        (run / name).write_text(text, encoding="utf-8")
    return run


def training_line(step: int, loss: float | None, **values: Any) -> dict[str, Any]:
    """A training line of the log; each step takes two seconds and 512 tokens."""
    plain = {"tokens": 512 * step, "seconds": 2.0 * step, "tokens_per_second": 256.0}
    return {"step": step, "loss": loss, **plain, **values}
