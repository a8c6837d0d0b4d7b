"""The command line with which a run is submitted to SLURM."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dslm.errors import Problem

NAME = re.compile(r"\w[\w.,+-]*")
TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")


@dataclass(frozen=True)
class Allocation:
    """What a job asks SLURM for."""

    nodes: int = 1
    """Number of hosts."""
    ranks: int = 1
    """Ranks on each host."""
    gpus: int = 0
    """GPUs on each host."""
    cpus: int | None = None
    """CPU cores for each rank."""
    time: str | None = None
    """Time limit as SLURM writes it, ``D-HH:MM:SS`` or minutes."""
    partition: str | None = None
    account: str | None = None
    after: str | None = None
    """Number of the job that must have ended well before."""
    log: str | None = None
    """The file of its log; in it SLURM writes the job's number for ``%j``."""

    def problems(self) -> list[Problem]:
        """What SLURM, or a shell that reads its words, could not take."""
        found = []
        for key in ("nodes", "ranks"):
            if getattr(self, key) < 1:
                found.append(Problem(f"--{key}", getattr(self, key), "must be at least 1"))
        if self.gpus and self.gpus != self.ranks:
            rule = f"each of the {self.ranks} ranks of a host uses one GPU"
            found.append(Problem("--gpus", self.gpus, rule, f"use --gpus {self.ranks}"))
        if self.time is not None and not TIME.fullmatch(self.time):
            fix = "use D-HH:MM:SS, HH:MM:SS or minutes"
            found.append(Problem("--time", self.time, "is no time limit", fix))
        for key in ("partition", "account"):
            value = getattr(self, key)
            if value is not None and not NAME.fullmatch(value):
                found.append(Problem(f"--{key}", value, "is no name of SLURM's"))
        if self.after is not None and not self.after.isdecimal():
            found.append(Problem("--after", self.after, "must be the number of a job"))
        if self.log is not None and not (folder := Path(self.log).parent).is_dir():
            rule = f"there is no folder {folder}, without which SLURM ends a job at once"
            found.append(Problem("--log", self.log, rule, f"mkdir -p {shlex.quote(str(folder))}"))
        return found

    def command(self, script: str, words: Sequence[str]) -> list[str]:
        """The words of ``sbatch``, for a call without a shell.

        Args:
            script: the batch script.
            words: its arguments.
        """
        options = {
            "nodes": self.nodes,
            "ntasks-per-node": self.ranks,
            "gpus-per-node": self.gpus or None,
            "cpus-per-task": self.cpus,
            "time": self.time,
            "partition": self.partition,
            "account": self.account,
            "output": self.log,
            "dependency": f"afterok:{self.after}" if self.after else None,
            "kill-on-invalid-dep": "yes" if self.after else None,
        }
        given = [f"--{name}={value}" for name, value in options.items() if value is not None]
        return ["sbatch", "--parsable", *given, script, *words]
