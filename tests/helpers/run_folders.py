"""Types of the fixtures that write run folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

RunMaker = Callable[..., Path]
"""Writes a run folder: ``make_run(lines, files, **facts)``."""

LineMaker = Callable[..., dict[str, Any]]
"""Makes a training line of the log: ``training(step, loss, **values)``."""
