"""The environment of this process: the only module that reads or sets its variables.

Nothing here needs torch, so that the first rank can report mistakes for all ranks before anything
expensive starts.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dslm.errors import Problem, SetupError


@dataclass(frozen=True)
class World:
    """This process among those of the run."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""
    local_rank: int = 0
    """Number of this process on its host."""
    local_size: int = 1
    """Number of processes on this host."""
    cpu: bool = True
    """Whether the ranks compute on the CPU."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that reports and writes for all."""
        return self.rank == 0


def read_world(environment: Mapping[str, str] | None = None) -> World:
    """Read what ``deepspeed`` or ``torchrun`` set; a plain ``python`` is a world of one.

    Raises:
        SetupError: for a variable that is not a number.
    """
    env = os.environ if environment is None else environment
    names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK"}
    numbers = {field: _number(env, name, None) for field, name in names.items()}
    local_size = _number(env, "LOCAL_WORLD_SIZE", None) or _number(env, "LOCAL_SIZE", None)
    if numbers["rank"] is None:
        return World(cpu=_on_cpu(env))
    size = numbers["size"] or 1
    return World(
        numbers["rank"], size, numbers["local_rank"] or 0, local_size or size, _on_cpu(env)
    )


@dataclass(frozen=True)
class Task:
    """This process among others started in the same way, for work without a process group."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""
    mpi: bool = False
    """Whether they were started by ``mpirun``."""


def read_task(environment: Mapping[str, str] | None = None) -> Task:
    """Read what ``mpirun``, ``srun`` or a SLURM array set; a plain ``python`` is a task of one.

    Raises:
        SetupError: for a variable that is not a number.
    """
    env = os.environ if environment is None else environment
    for name in ("OMPI_COMM_WORLD", "PMI"):
        if f"{name}_RANK" in env:
            rank, size = (_number(env, f"{name}_{what}", None) for what in ("RANK", "SIZE"))
            return Task(rank or 0, size or 1, mpi=True)
    first, step = (_number(env, f"SLURM_ARRAY_TASK_{name}", None) for name in ("MIN", "STEP"))
    task = ((_number(env, "SLURM_ARRAY_TASK_ID", 0) or 0) - (first or 0)) // (step or 1)
    tasks = _number(env, "SLURM_ARRAY_TASK_COUNT", 1) or 1
    ranks = (_number(env, "SLURM_NTASKS", 1) or 1) if "SLURM_STEP_ID" in env else 1
    within = (_number(env, "SLURM_PROCID", 0) or 0) if ranks > 1 else 0
    return Task(task * ranks + within, tasks * ranks)


def extensions_folder() -> Path:
    """Where torch builds compiled extensions."""
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR", "~/.cache/torch_extensions")).expanduser()


def gpu_architectures() -> str:
    """The GPUs to compile extensions for; empty for those of this machine."""
    return os.environ.get("TORCH_CUDA_ARCH_LIST", "")


def threads_are_set() -> bool:
    """Whether the user chose how many threads a process computes with."""
    return "OMP_NUM_THREADS" in os.environ


def fill_environment(world: World) -> None:
    """Set what torch and DeepSpeed read: who this rank is, what a plain ``python`` lacks."""
    if world.size == 1 and "RANK" not in os.environ:
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(free_port()))
    os.environ["RANK"], os.environ["WORLD_SIZE"] = str(world.rank), str(world.size)
    os.environ["LOCAL_RANK"] = str(world.local_rank)
    if world.cpu:
        os.environ["DS_ACCELERATOR"] = "cpu"


def free_port() -> int:
    """A port outside the range from which the kernel gives ports to clients by itself."""
    for port in range(20000 + os.getpid() % 5000, 32000):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SetupError(Problem("network", None, "no port between 20000 and 32000 is free"))


def _on_cpu(env: Mapping[str, str]) -> bool:
    """Whether there is no NVIDIA GPU to use; decided without importing torch."""
    wish = env.get("DS_ACCELERATOR")
    hidden = env.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return wish == "cpu" or hidden or not os.path.exists("/dev/nvidiactl")


def _number(env: Mapping[str, str], name: str, otherwise: int | None) -> int | None:
    text = env.get(name)
    if text is None:
        return otherwise
    if not text.isdecimal():
        rule = "must be a whole number"
        raise SetupError(Problem(name, text, rule, "start through deepspeed or torchrun"))
    return int(text)
