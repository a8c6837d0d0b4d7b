"""What a machine must have for a test: elsewhere it is skipped, in CI its absence is a failure."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterable
from typing import Any

import pytest

from helpers.hosts import search_path


def need(lack: str) -> None:
    """Go on if nothing is lacking.

    Args:
        lack: why the test cannot run here; empty when it can.
    """
    if not lack:
        return
    if "CI" in os.environ:
        pytest.fail(f"{lack}; .ci/run installs what the tests need")
    pytest.skip(lack)


def absent(programs: Iterable[str]) -> str:
    """Which programs are not installed; empty when all are."""
    names = [name for name in programs if not shutil.which(name, path=search_path())]
    return f"not installed: {', '.join(names)}" if names else ""


def oracle(module: str) -> Any:
    """A module of another library, with whose results ours are compared."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as missing:
        need(f"not installed: {missing.name} (pip install -e '.[dev,oracles]')")
        raise
