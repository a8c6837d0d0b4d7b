"""Whether the launcher of this process is still there.

A launcher that is killed leaves its ranks behind, training with nobody to look after them. Those of
its processes that stand above a rank are noted when the rank starts, each by its number and the
time at which it was started, as numbers are used again, and looked for now and then in ``/proc``.

| launcher    | above a rank                        | watched                               |
|-------------|-------------------------------------|---------------------------------------|
| deepspeed   | launch.py, deepspeed on one host    | both; through pdsh launch.py          |
| torchrun    | the agent                           | the agent                             |
| mpirun      | mpirun, or orted on other hosts     | that                                  |
| srun        | slurmstepd                          | that                                  |
| python      | a shell, nohup, setsid, PID 1       | nothing: a closed terminal is no stop |

A process counts only if its command line names the launcher, so that a shell between or above, or
the one that took over after a terminal was closed, never does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslm.process_table import PROC, entry

NAMES = {
    "deepspeed": ("deepspeed", "ds", "deepspeed.launcher.runner", "deepspeed.launcher.launch"),
    "torchrun": ("torchrun", "torch.distributed.run", "torch.distributed.launch"),
    "mpirun": ("mpirun", "mpiexec", "orterun", "prterun", "orted", "prted"),
    "mpiexec": ("mpiexec", "mpiexec.hydra", "mpirun", "hydra_pmi_proxy"),
    "srun": ("slurmstepd",),
}
"""The words of a command line by which a launcher's processes are known."""
ABOVE = 4
"""How far above a rank its launcher is looked for: there may be a shell or two between."""


@dataclass(frozen=True)
class Process:
    """A process that this one was started by."""

    pid: int
    started: int
    """When, see `Entry`."""
    name: str


def launchers(by: str, proc: Path = PROC, pid: int | None = None) -> tuple[Process, ...]:
    """The processes above this one that belong to its launcher; none where ``/proc`` is missing.

    Args:
        by: the launcher's command, a key of `NAMES`; for others nothing is watched.
        proc: the kernel's list of processes.
        pid: of the process to look from; by default this one.
    """
    names = NAMES.get(by, ())
    found = _above(os.getpid() if pid is None else pid, proc)
    return tuple(process for process in found if process.name in names)


def gone(processes: Sequence[Process], proc: Path = PROC) -> Process | None:
    """The first of some processes that has ended, if one has."""
    return next((process for process in processes if _ended(process, proc)), None)


def _above(pid: int, proc: Path) -> Iterator[Process]:
    """The processes above one, from the nearest on."""
    for _ in range(ABOVE):
        try:
            pid = entry(pid, proc).parent
            started, words = entry(pid, proc).started, (proc / str(pid) / "cmdline").read_bytes()
        except OSError:
            return
        yield Process(pid, started, _name(words.decode(errors="replace").split("\0")))


def _name(words: Sequence[str]) -> str:
    """The word of a command line that names a launcher; empty if none does.

    It is the program, after an interpreter its script, or after ``-m`` a module; what follows are
    arguments, where the same word says nothing.
    """
    known = {name for names in NAMES.values() for name in names}
    candidates = [os.path.basename(word) for word in words[:2]]
    candidates += [words[n + 1] for n in range(min(4, len(words) - 1)) if words[n] == "-m"]
    title = words[0].partition(":")[0]  # slurmstepd calls itself "slurmstepd: [7.0]"
    return next((name for name in (*candidates, title) if name in known), "")


def _ended(process: Process, proc: Path) -> bool:
    """Whether it is gone, has ended and waits for its parent, or its number is another's."""
    try:
        found = entry(process.pid, proc)
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False
    return found.has_ended or found.started != process.started
