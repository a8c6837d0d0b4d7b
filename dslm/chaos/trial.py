"""One start of the user's run under the real launcher, watched from outside."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dslm.chaos.fault import Fault, Orders
from dslm.environment import cpu_rank_environment, free_port
from dslm.errors import UserError
from dslm.files.whole import read_json
from dslm.process_table import PROC, entry
from dslm.run.checkpoint import checkpoints
from dslm.run.metrics import read_metrics

POLL = 0.05
"""Seconds between two looks at a run."""


class Trial:
    """A running launcher with its ranks.

    Args:
        folder: for the run and, a number a start, for what is noted about it.
        ranks: how many.
        arguments: what follows ``launch/pretrain.py`` in a user's command.
        faults: what goes wrong.
        pause: see `Orders`.
        patience: seconds after which the trial counts as stuck.
    """

    def __init__(
        self,
        folder: Path,
        ranks: int,
        arguments: list[str],
        faults: tuple[Fault, ...],
        pause: float,
        patience: float,
    ) -> None:
        self.run = folder / "run"
        self.notes = folder / f"start-{len(list(folder.glob('start-*')))}"
        self.notes.mkdir(parents=True)
        self.screen = self.notes / "screen.txt"
        orders = Orders(str(self.notes), faults, pause).text()
        self.deadline = time.monotonic() + patience
        self.stuck = False
        self._began = time.monotonic()
        launcher = [str(Path(sys.executable).with_name("deepspeed")), "--num_gpus", str(ranks)]
        launcher += ["--master_port", str(free_port()), "--no_local_rank", "--module"]
        with self.screen.open("wb") as screen:
            self.process = subprocess.Popen(
                [*launcher, "dslm.commands.chaos", "--rank", orders, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                env=cpu_rank_environment(ranks),
                start_new_session=True,
            )

    def wait(self) -> int:
        """Wait until the launcher and all its ranks have ended, or end them; the exit code."""
        self.until(lambda: self.process.poll() is not None and not self._others())
        self.stuck = bool(self._others()) or self.process.poll() is None
        self.seconds = time.monotonic() - self._began
        return self.end()

    def end(self) -> int:
        """End the launcher and all its ranks, if they have not ended; the exit code."""
        for pid in self._others():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
        return self.process.wait()

    def until(self, holds: Callable[[], bool]) -> bool:
        """Wait until something holds; whether it did before patience ran out."""
        while not (held := holds()) and time.monotonic() < self.deadline:
            time.sleep(POLL)
        return held

    def until_step(self, step: int) -> bool:
        """Wait until a step has been logged, or the launcher has ended; whether it was logged."""
        self.until(lambda: self.step() >= step or self.process.poll() is not None)
        return self.step() >= step

    def step(self) -> int:
        """The last step that has been logged."""
        return max(self.losses(), default=0)

    def losses(self) -> dict[int, float]:
        """The loss of each step."""
        return losses(self.run)

    def rows(self) -> dict[int, list[str]]:
        """The rows of each step of this start; see `rows`."""
        return rows(self.notes)

    def text(self) -> str:
        """What a user has seen, without terminal codes."""
        return re.sub(r"\x1b\[\w+|\r", "", self.screen.read_text(errors="replace"))

    def resumed_from(self) -> int:
        """The step that the first screen says; 0 without one."""
        found = re.search(r"^start +from step ([\d,]+)", self.text(), re.MULTILINE)
        return int(found[1].replace(",", "")) if found else 0

    def _others(self) -> list[int]:
        """The processes of this trial's session that are alive."""
        pids = (int(name) for name in os.listdir(PROC) if name.isdecimal())
        return [pid for pid in pids if pid != self.process.pid and self._has(pid)]

    def _has(self, pid: int) -> bool:
        try:
            found = entry(pid)
        except OSError:
            return False
        return found.session == self.process.pid and not found.has_ended


def losses(run: Path) -> dict[int, float]:
    """The training loss of each step that a run has logged."""
    lines = read_metrics(run / "metrics.jsonl")
    return {int(line["step"] or 0): float(line["loss"] or 0) for line in lines if "loss" in line}


def rows(folder: Path) -> dict[int, list[str]]:
    """The rows of each step, as the ranks of one start have written them down, sorted.

    The ranks of a pipeline read the same rows; of each replica one counts.
    """
    found: dict[int, list[str]] = {}
    reader: dict[tuple[int, int], Path] = {}
    for file in sorted(folder.glob("rank-*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            if reader.setdefault((line["step"], line["replica"]), file) == file:
                found.setdefault(line["step"], []).extend(line["rows"])
    return {step: sorted(names) for step, names in found.items()}


def steps(run: Path) -> list[int]:
    """The steps of the checkpoints of a run, newest first."""
    return [step for step, _ in checkpoints(run / "checkpoints")]


def record(run: Path) -> dict[str, Any]:
    """What ``run.json`` holds; empty where it cannot be read."""
    with suppress(UserError):
        return read_json(run / "run.json")
    return {}
