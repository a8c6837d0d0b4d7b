"""What a run needs from the machine: a compiler where something must be built, and disk space."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dslm.errors import Problem
from dslm.parallel.deepspeed_json.schema import given
from dslm.parallel.devices import find_device
from dslm.progress import human

STALE_AFTER = 300.0
"""Seconds without a new file after which a build is taken for dead."""

ARCHITECTURE = re.compile(r"(\d+\.\d+(\+PTX)?)?")
"""What DeepSpeed can read as the architecture of a GPU; torch knows more, such as 9.0a."""

MONITORS = {
    "tensorboard": ("tensorboard", "pip install 'dslm[tensorboard]'"),
    "wandb": ("wandb", "pip install wandb"),
    "comet": ("comet_ml", "pip install 'comet_ml>=3.41.0'"),
}
"""The packages that DeepSpeed imports for each block of its JSON, and how one gets them."""

FLOAT8_SINCE = (8, 9)
"""The first compute capability of NVIDIA with 8-bit floats (Ada; Hopper is 9.0)."""


def check_builds(ops: Sequence[str], extensions: Path, architectures: str = "") -> list[Problem]:
    """What keeps DeepSpeed from compiling the operations that a JSON asks for.

    Args:
        ops: their names (`check.compiled_ops`).
        extensions: where torch builds them (`environment.extensions_folder`).
        architectures: for which GPUs (`environment.gpu_architectures`).
    """
    problems = []
    wanted = ", ".join(ops)
    strange = [one for one in re.split("[; ]+", architectures) if not ARCHITECTURE.fullmatch(one)]
    if ops and strange:
        rule = f"must be numbers such as 9.0 where DeepSpeed compiles {wanted}"
        fix = "unset it: the GPUs of this machine are found without it"
        problems.append(Problem("TORCH_CUDA_ARCH_LIST", architectures, rule, fix))
    for tool, package in (("c++", "g++"), ("ninja", "ninja")):
        if ops and shutil.which(tool) is None:
            rule = f"is not installed, but DeepSpeed must compile {wanted}"
            fix = f"install {package}, or choose an optimizer with torch_adam = true"
            problems.append(Problem(tool, None, rule, fix))
    return problems + [
        lock for lock in stale_locks(extensions) if Path(lock.where).parent.name in ops
    ]


def check_graphs(cpu: bool, compiler: str) -> list[Problem]:
    """What keeps torch from compiling the graphs of blocks.

    Args:
        cpu: whether the ranks compute on the CPU.
        compiler: the C++ compiler that torch calls then (`environment.cpp_compiler`).
    """
    fix = "leave compile=true out"
    if not cpu:
        if _is_installed("triton"):
            return []
        rule = "needs triton, which is not installed"
        return [Problem("compile", True, rule, f"pip install triton, or {fix}")]
    problems = []
    if shutil.which(compiler) is None:
        rule = "is not installed, but compile=true needs a C++ compiler"
        problems.append(Problem(compiler, None, rule, f"install g++, or {fix}"))
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        rule = "is missing, but compile=true needs the headers of Python"
        problems.append(Problem(str(header), None, rule, f"install python3-dev, or {fix}"))
    return problems


def check_monitors(config: Mapping[str, Any], tensorboard: bool) -> list[Problem]:
    """Whether the packages are installed to which the run is to write its metrics.

    Args:
        config: DeepSpeed's JSON, checked.
        tensorboard: whether dslm itself writes event files.
    """
    asked = [f"{name}.enabled" for name in MONITORS if given(config, f"{name}.enabled", False)]
    asked += ["tensorboard"] if tensorboard else []
    problems = []
    for where in asked:
        package, install = MONITORS[where.removesuffix(".enabled")]
        if not _is_installed(package):
            rule = f"needs {package}, which is not installed"
            problems.append(Problem(where, True, rule, f"{install}, or leave it out"))
    return problems


def _is_installed(package: str) -> bool:
    """Whether a package can be imported; a folder of its name, where it kept its logs, is none."""
    found = find_spec(package)
    return found is not None and found.origin is not None


def check_float8(device: str) -> list[Problem]:
    """What keeps this machine from training in 8-bit floats; a CPU emulates them."""
    problems = []
    if find_spec("torchao") is None:
        fix = "pip install 'dslm[fp8]', or use precision=bf16"
        problems.append(Problem("precision", "fp8", "needs torchao, which is not installed", fix))
    if device != "cpu":
        from dslm.parallel.hardware import gpu

        problems += check_gpu_float8(*gpu(device))
    return problems


def check_gpu_float8(name: str, capability: tuple[int, int] | None = None) -> list[Problem]:
    """Whether a GPU computes in 8-bit floats.

    Args:
        name: as its driver or the table of GPUs has it.
        capability: what torch says of it; without it the table alone decides.
    """
    device = find_device(name)
    old = capability is not None and capability < FLOAT8_SINCE
    if not old and (device is None or device.float8):
        return []
    rule = f"{name} computes no 8-bit floats, which came with compute capability 8.9"
    return [Problem("precision", "fp8", rule, "use precision=bf16")]


def check_disk(
    folder: Path, checkpoint_bytes: float, keep: int, existing: int = 0
) -> list[Problem]:
    """Whether the checkpoints of a run will fit.

    Args:
        folder: the run's folder or any above it that exists.
        checkpoint_bytes: size of one checkpoint.
        keep: how many stay; one more is there while the newest is written.
        existing: bytes of those checkpoints of the run that are there already.
    """
    while not folder.exists():
        folder = folder.parent
    free, needed = shutil.disk_usage(folder).free, checkpoint_bytes * (keep + 1) - existing
    if free >= needed:
        return []
    more = " more" if existing else ""
    rule = f"has {human(free)}B free, but {keep} + 1 checkpoints take {human(needed)}B{more}"
    return [
        Problem(
            str(folder),
            None,
            rule,
            "free some space, or set keep=1, keep_best=false or another run=",
        )
    ]


def _is_stale(lock: Path) -> bool:
    newest = max(file.stat().st_mtime for file in lock.parent.iterdir())
    return time.time() - newest > STALE_AFTER


def _stale(lock: Path) -> Problem:
    rule = "was left by a build that was killed; every run would wait for it forever"
    return Problem(str(lock), None, rule, "remove this file")


def has_mpi() -> bool:
    """Whether mpi4py finds an MPI library; tried in a separate process, as it may abort."""
    command = [sys.executable, "-c", "from mpi4py import MPI"]
    tried = subprocess.run(command, capture_output=True, timeout=60, check=False)
    return tried.returncode == 0


def stale_locks(extensions: Path) -> list[Problem]:
    """The locks of builds that were killed, under the folder where torch builds extensions."""
    return [_stale(lock) for lock in extensions.glob("**/lock") if _is_stale(lock)]
