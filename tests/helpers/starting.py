"""Commands as a user types them, in a process group of their own that ends with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers.paths import ROOT

BIN = Path(sys.executable).parent
SCRIPT = "launch/pretrain.py"


@contextmanager
def started(
    command: list[str], variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A command that runs; when its block is left, nothing of it does."""
    environment = {**(variables or os.environ), "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def start(
    command: list[str], timeout: float = 240.0, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with started(command, variables) as process:
        output, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def losses(folder: Path) -> list[float]:
    """The losses of a run, step by step."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


def step(folder: Path) -> int:
    """The steps that a run has written down."""
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count('"loss"') if metrics.exists() else 0


def has_checkpoint(folder: Path) -> bool:
    """Whether a run has written a whole one."""
    return any((folder / "checkpoints").glob("step-*"))


def until(condition: Callable[[], bool], timeout: float = 120.0) -> None:
    """Wait until something has come to be."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)
