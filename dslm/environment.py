"""The environment of this process: the only module that reads or sets its variables.

Nothing here needs torch, so that the first rank can report mistakes before anything is expensive.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dslm.errors import Problem, ReportedError, SetupError
from dslm.launchers import MPI, mpi_ranks, number, started

_OF_A_LAUNCHER = re.compile("(LOCAL_)?(RANK|SIZE|WORLD_SIZE)$|MASTER_|SLURM_|OMPI_|PMI")


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
    launcher: str = "python"
    """The command that started them."""
    address: str | None = None
    """The host of the first rank, if the launcher says it otherwise than by MASTER_ADDR."""
    port: int | None = None
    """Where they meet, likewise."""

    @property
    def is_main(self) -> bool:
        """Whether this is the process that reports and writes for all."""
        return self.rank == 0


def read_world(environment: Mapping[str, str] | None = None) -> World:
    """Read what the launcher set, see `dslm.launchers`; a plain ``python`` is a world of one.

    Raises:
        SetupError: for a variable that is not a number, or that asks for what this machine has not;
            of the latter the first process of each host speaks for all.
        ReportedError: then, on the others.
    """
    env = os.environ if environment is None else environment
    by = started(env)
    if problem := _wrong_accelerator(env):
        raise SetupError(problem) if by is None or by.local_rank == 0 else ReportedError(2)
    if by is None:
        return World(cpu=_on_cpu(env))
    local = by.local_rank, by.local_size
    return World(by.rank, by.size, *local, _on_cpu(env), by.by, by.address, by.port)


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
    by = started(env)
    if by is not None and by.by in MPI:
        return Task(by.rank, by.size, mpi=True)
    first, step = number(env, "SLURM_ARRAY_TASK_MIN"), number(env, "SLURM_ARRAY_TASK_STEP")
    task = ((number(env, "SLURM_ARRAY_TASK_ID") or 0) - (first or 0)) // (step or 1)
    tasks = number(env, "SLURM_ARRAY_TASK_COUNT") or 1
    within, ranks = (by.rank, by.size) if by is not None and by.by == "srun" else (0, 1)
    return Task(task * ranks + within, tasks * ranks)


def extensions_folder() -> Path:
    """Where torch builds compiled extensions."""
    return Path(os.environ.get("TORCH_EXTENSIONS_DIR", "~/.cache/torch_extensions")).expanduser()


def cpp_compiler() -> str:
    """The C++ compiler that torch calls for a CPU."""
    return os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")


def available_memory() -> float | None:
    """Bytes of main memory that programs can still take here; `None` if the system does not say."""
    return _memory("MemAvailable")


def total_memory() -> float | None:
    """Bytes of main memory of this machine; `None` if the system does not say."""
    return _memory("MemTotal")


def _memory(name: str) -> float | None:
    try:
        found = re.search(rf"^{name}:\s*(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024.0 * int(found[1]) if found else None


def cores() -> int:
    """How many cores this process may use."""
    known = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1


def gpu_architectures() -> str:
    """The GPUs to compile extensions for; empty for those of this machine."""
    return os.environ.get("TORCH_CUDA_ARCH_LIST", "")


def launcher_variables() -> dict[str, str]:
    """The variables that DeepSpeed's launcher hands to every host and that choose its Python."""
    return {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}


def launcher_files() -> list[Path]:
    """The files of variables that DeepSpeed's launcher hands to every host; not all need exist."""
    name = os.environ.get("DS_ENV_FILE", ".deepspeed_env")
    return list(dict.fromkeys(folder / name for folder in (Path.home(), Path.cwd())))


def threads_are_set() -> bool:
    """Whether the user chose how many threads a process computes with."""
    return "OMP_NUM_THREADS" in os.environ


def wandb_mode() -> str:
    """How W&B works: ``WANDB_MODE``, and without it offline."""
    return os.environ.get("WANDB_MODE", "offline")


def stay_offline() -> None:
    """Keep Hugging Face's libraries, if not yet imported, off the network unless it is allowed."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        os.environ.setdefault(name, "1")


def fill_environment(world: World) -> None:
    """Set what torch and DeepSpeed read: who this rank is, and where all of them meet."""
    address, port = world.address, world.port
    if world.launcher in MPI and world.size > 1:
        address, port = _agreed_by_mpi()
    elif world.size == 1 and "RANK" not in os.environ:
        address, port = address or "127.0.0.1", port or free_port()
    if address and port:
        os.environ.setdefault("MASTER_ADDR", address)
        os.environ.setdefault("MASTER_PORT", str(port))
    os.environ["RANK"], os.environ["WORLD_SIZE"] = str(world.rank), str(world.size)
    os.environ["LOCAL_RANK"] = str(world.local_rank)
    if world.cpu:
        os.environ["DS_ACCELERATOR"] = "cpu"


def meeting_point() -> tuple[str, str]:
    """The address and the port where all ranks meet, once `fill_environment` has set them."""
    return os.environ.get("MASTER_ADDR", ""), os.environ.get("MASTER_PORT", "")


def error_file() -> Path | None:
    """Where a process leaves what ended it for ``torchrun``, which then shows it last."""
    return Path(name) if (name := os.environ.get("TORCHELASTIC_ERROR_FILE")) else None


def restarts() -> str:
    """How often ``torchrun`` has started these ranks anew."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def cpu_rank_environment(ranks: int) -> dict[str, str]:
    """Variables for a launcher that starts CPU ranks on this host, which share its cores."""
    own = {name: value for name, value in os.environ.items() if not _OF_A_LAUNCHER.match(name)}
    threads = max(1, (os.cpu_count() or 1) // ranks)
    return {**own, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": str(threads)}


PORTS = range(20000, 32000)
"""Outside the range from which the kernel gives ports to clients by itself."""
APART = 7417
"""So many ports lie between where two processes of neighbouring numbers begin to look."""


def check_meeting_point(world: World) -> list[Problem]:
    """Whether a rank that is alone in its world can open the port that it is told.

    Of several, the first one opens it to meet the others; ``torchrun`` has opened it before.
    """
    text = os.environ.get("MASTER_PORT", "")
    if world.size > 1 or world.launcher == "torchrun" or not text.isdecimal():
        return []
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("", int(text)))
        except OSError:
            taken, unset = taken_port(text), "unset it: a single process chooses a free one"
            return [taken if world.launcher == "deepspeed" else replace(taken, fix=unset)]
    return []


def taken_port(port: str) -> Problem:
    """The mistake of meeting at a port that another program uses."""
    free = free_port()
    rule = "is used by another program, perhaps another run on this host"
    fix = f"choose a free one: deepspeed --master_port {free}, or MASTER_PORT={free} for srun"
    return Problem("MASTER_PORT", port, rule, fix)


def free_port() -> int:
    """A free one of `PORTS`; processes started one after another look far from each other."""
    first = os.getpid() * APART % len(PORTS)
    for tried in range(len(PORTS)):
        port = PORTS[(first + tried) % len(PORTS)]
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    rule = f"no port from {PORTS[0]} to {PORTS[-1]} is free"
    raise SetupError(Problem("network", None, rule))


def _agreed_by_mpi() -> tuple[str, int]:
    """The first rank's address and a free port there; every rank must call it.

    Raises:
        SetupError: no MPI library can be loaded.
    """
    ranks = mpi_ranks()
    hosts = ranks.allgather(socket.gethostname())
    mine = _own_address() if len(set(hosts)) > 1 else "127.0.0.1"
    agreed: tuple[str, int] = ranks.bcast((mine, free_port()))
    return agreed


def _own_address() -> str:
    """An address of this host at which others reach it."""
    found = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    addresses = [str(address[0]) for *_, address in found]
    outside = [address for address in addresses if not address.startswith("127.")]
    return outside[0] if outside else socket.gethostname()


def mpirun_refuses() -> bool:
    """Whether OpenMPI's ``mpirun`` refuses to start anything for this user, who is root."""
    names = ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM")
    allowed = all(os.environ.get(name) == "1" for name in names)
    return os.geteuid() == 0 and not allowed


def _wrong_accelerator(env: Mapping[str, str]) -> Problem | None:
    """What is wrong with the device that ``DS_ACCELERATOR`` asks for."""
    wish = env.get("DS_ACCELERATOR")
    if wish in (None, "", "cpu"):
        return None
    fix = "unset it: GPUs are used where there are some, else the CPU"
    if wish != "cuda":
        return Problem("DS_ACCELERATOR", wish, "dslm computes on cuda or cpu", fix)
    if _no_gpu(env):
        return Problem("DS_ACCELERATOR", wish, "there is no NVIDIA GPU to use here", fix)
    return None


def _on_cpu(env: Mapping[str, str]) -> bool:
    """Whether the ranks are to compute on the CPU."""
    return env.get("DS_ACCELERATOR") == "cpu" or _no_gpu(env)


def _no_gpu(env: Mapping[str, str]) -> bool:
    """Whether there is no NVIDIA GPU to use; decided without importing torch."""
    hidden = env.get("CUDA_VISIBLE_DEVICES", "all") in ("", "-1")
    return hidden or not os.path.exists("/dev/nvidiactl")
