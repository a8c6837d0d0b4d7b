"""Check whether this machine is ready: ``doctor``."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dslm.commands.cli import Parser
from dslm.environment import extensions_folder, read_world
from dslm.errors import Problem, SetupError
from dslm.parallel.setup import has_mpi, stale_locks
from dslm.progress import human

NEEDED = ("torch", "deepspeed", "datasets", "pyarrow", "sentencepiece", "safetensors")
ROOM = 5e9
"""Bytes below which a first run may fill the disk."""


def main(argv: list[str]) -> None:
    """Print what was found, and raise for what is missing."""
    Parser("doctor", "Check whether this machine is ready.").parse_args(argv)
    problems = [*_packages(), *stale_locks(extensions_folder()), *_disk()]
    tools = " and ".join(tool for tool in ("c++", "ninja") if shutil.which(tool)) or "none"
    print(f"python    {sys.version.split()[0]}")
    print(f"device    {'CPU' if read_world().cpu else 'GPU'}")
    print(f"compiler  {tools} (only optimizers without torch_adam = true need them)")
    print(f"mpi       {'found' if has_mpi() else 'none (only mpirun needs it: openmpi-bin)'}")
    print("to build  nothing: the files in ds_configs need no compiled DeepSpeed operation")
    if problems:
        raise SetupError(*problems)


def _packages() -> list[Problem]:
    problems = []
    for name in NEEDED:
        try:
            print(f"{name:<14}{version(name)}")
        except PackageNotFoundError:
            problems.append(Problem(name, None, "is not installed", "pip install -e ."))
    return problems


def _disk() -> list[Problem]:
    free = shutil.disk_usage(Path.cwd()).free
    print(f"disk      {human(free)}B free here")
    if free >= ROOM:
        return []
    return [Problem(str(Path.cwd()), None, f"has only {human(free)}B free", "free some space")]
