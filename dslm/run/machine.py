"""Where a run is computed, and by which code: the host, its devices, and the commit.

Nothing here fails: what the system does not say is left out.
"""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import dslm
from dslm.environment import cores
from dslm.progress import counted

GPUS = Path("/proc/driver/nvidia/gpus")
PROCESSORS = Path("/proc/cpuinfo")
PATIENCE = 5.0
"""Seconds that git may take."""


@cache
def device_names(cpu: bool) -> str:
    """What the ranks of this host compute with, such as ``NVIDIA H200``; empty if unknown.

    Args:
        cpu: whether it is the processor; else the GPUs of the host, whose driver names them.
    """
    if not cpu:
        models = {_field(file, "Model") for file in GPUS.glob("*/information")}
        return ", ".join(sorted(models - {""}))
    name = _field(PROCESSORS, "model name") or platform.machine()
    return f"{name}, {counted(cores(), 'core')}"


@cache
def code_version() -> dict[str, Any]:
    """The commit of dslm's code and whether files differ from it; empty where git does not know."""
    root = Path(dslm.__file__).resolve().parent.parent
    top, commit = _git(root, "rev-parse", "--show-toplevel"), _git(root, "rev-parse", "HEAD")
    if not top or not commit or Path(top) != root:  # installed within a repository of another kind
        return {}
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": changed != ""}


def _git(folder: Path, *words: str) -> str | None:
    """What git prints; `None` where there is none, or it knows nothing of the folder."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE)
        return done.stdout.decode("utf-8", "replace").strip()
    return None


def _field(file: Path, name: str) -> str:
    """The value on the first line ``name: value`` of a file; empty where there is none."""
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    return ""
