"""Real launchers that are interrupted or killed: their ranks save, end, and leave nobody behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.paths import ROOT

from dslm.environment import free_port

pytestmark = [pytest.mark.ranks, pytest.mark.slow]

BIN = Path(sys.executable).parent
LIMIT = 240.0
"""Seconds after which whatever a test waits for has failed."""


@dataclass(frozen=True)
class Started:
    """A launcher, the leader of a process group, and what it started."""

    process: subprocess.Popen[bytes]
    run: Path
    output: Path

    def train(self) -> None:
        """Wait until steps have been made."""
        metrics = self.run / "metrics.jsonl"
        wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 2, self.output)

    def members(self) -> dict[int, str]:
        """The processes of the run that have not ended, with their command lines.

        All of them have the run's folder among their arguments; torchrun's have no common session.
        """
        lines = {int(name): _line(name) for name in os.listdir("/proc") if name.isdecimal()}
        return {pid: line for pid, line in lines.items() if f"run={self.run}" in line}

    def find(self, words: str) -> int:
        """The process of the run with these words in its command line."""
        return next(pid for pid, line in self.members().items() if words in line)

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "run.json").read_text())
        return found

    def preempted(self, by: str, *, is_read: bool = True) -> None:
        """Wait for all of it to end; every rank has ended in good order, with a checkpoint."""
        wait_for(lambda: not self.members(), self.output)
        self.process.wait(LIMIT)
        record, printed = self.record(), self.output.read_text(errors="replace")
        assert record["status"] == "preempted", printed[-3000:]
        assert by in record["ended"]
        step = int(record["ended"].split("after step ")[1].split()[0].replace(",", ""))
        assert (self.run / f"checkpoints/step-{step:08d}/manifest.json").exists()
        assert ("resume " in printed) == is_read
        assert "error:" not in printed


def _line(pid: str) -> str:
    """The command line of a process; empty once it has ended."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return line.replace(b"\0", b" ").decode(errors="replace")


def wait_for(condition: Callable[[], bool], output: Path) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, output.read_text(errors="replace")[-3000:]
        time.sleep(0.05)


@contextmanager
def started(command: list[str], run: Path) -> Iterator[Started]:
    """A launcher with its ranks; all of them are killed in the end."""
    output = run.parent / "output"
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    found = Started(process, run, output)
    try:
        yield found
    finally:
        for pid in found.members():
            os.kill(pid, signal.SIGKILL)
        process.wait(LIMIT)


@pytest.fixture
def arguments(tmp_path: Path, words: list[str]) -> list[str]:
    file = tmp_path / "deepspeed.json"
    file.write_text(json.dumps(deepspeed(1)))
    settings = [*words, "steps=100000", "keep=1", f"run={tmp_path / 'run'}"]
    return ["launch/pretrain.py", *settings, "--deepspeed_config", str(file)]


def by_deepspeed() -> list[str]:
    return [str(BIN / "deepspeed"), "--num_gpus", "2", "--master_port", str(free_port())]


RUNNER, LAUNCH = "bin/deepspeed", "deepspeed.launcher.launch"


@pytest.mark.parametrize(
    ("who", "number"),
    [
        (RUNNER, signal.SIGTERM),
        (RUNNER, signal.SIGUSR1),
        (RUNNER, signal.SIGKILL),
        (LAUNCH, signal.SIGKILL),
    ],
)
def test_ranks_whose_launcher_is_killed_save_and_end(
    who: str, number: signal.Signals, tmp_path: Path, arguments: list[str]
) -> None:
    with started([*by_deepspeed(), *arguments], tmp_path / "run") as job:
        job.train()
        os.kill(job.find(who), number)
        job.preempted("because its launcher is gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_what_a_terminal_sends_to_the_whole_group_saves_and_ends(
    number: signal.Signals, tmp_path: Path, arguments: list[str]
) -> None:
    """After SIGINT launch.py sends SIGTERM too, to one rank after the other."""
    with started([*by_deepspeed(), *arguments], tmp_path / "run") as job:
        job.train()
        os.killpg(job.process.pid, number)
        job.preempted(f"by {number.name}")


def test_launch_py_passes_sigterm_on_and_waits(tmp_path: Path, arguments: list[str]) -> None:
    with started([*by_deepspeed(), *arguments], tmp_path / "run") as job:
        job.train()
        os.kill(job.find(LAUNCH), signal.SIGTERM)
        job.preempted("by SIGTERM")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_torchrun_is_understood_as_well(
    number: signal.Signals, tmp_path: Path, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", str(free_port()), *arguments]
    with started(command, tmp_path / "run") as job:
        job.train()
        os.kill(job.process.pid, number)
        gone = number is signal.SIGKILL
        job.preempted("because its launcher is gone" if gone else f"by {number.name}")


def test_a_plain_run_whose_shell_is_gone_goes_on_until_it_is_asked(
    tmp_path: Path, arguments: list[str]
) -> None:
    shell = ["bash", "-c", 'nohup "$@" & wait', "bash", sys.executable]
    with started([*shell, *arguments], tmp_path / "run") as job:
        job.train()
        job.process.kill()
        job.process.wait(LIMIT)
        (rank,) = job.members()
        os.kill(rank, signal.SIGHUP)  # which nohup has had ignored
        lines = (job.run / "metrics.jsonl").read_text().count("\n")
        metrics = job.run / "metrics.jsonl"
        wait_for(lambda: metrics.read_text().count("\n") > lines + 200, job.output)
        os.kill(rank, signal.SIGTERM)
        job.preempted("by SIGTERM")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL])
def test_mpirun_passes_sigusr1_on_and_its_end_is_noticed(
    number: signal.Signals, tmp_path: Path, arguments: list[str]
) -> None:
    """What ranks print goes through mpirun, so that after its end nobody reads it."""
    command = [str(BIN / "mpirun"), "-n", "2", "--allow-run-as-root", "--oversubscribe"]
    with started([*command, sys.executable, *arguments], tmp_path / "run") as job:
        job.train()
        os.kill(job.process.pid, number)
        gone = number is signal.SIGKILL
        by = "because its launcher is gone" if gone else f"by {number.name}"
        job.preempted(by, is_read=not gone)
