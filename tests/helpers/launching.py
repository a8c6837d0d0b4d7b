"""Real ranks, started fast: forked from a server that has imported torch and DeepSpeed already.

A rank runs the very function that ``launch/pretrain.py`` calls, with the variables a launcher would
set. As under a launcher, the first rank to fail has the others ended: a second later by SIGTERM,
and by SIGKILL those that do not take it. A hard timeout ends them all.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslm.environment import free_port

PRELOAD = ["torch", "deepspeed", "deepspeed.pipe", "dslm.train.loop", "dslm.train.checkpointer"]
"""What the server imports once for all ranks."""


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    code: int
    """Exit code of the first rank that failed, else 0."""
    folder: Path
    results: str
    messages: str

    def metrics(self, key: str = "loss") -> list[float]:
        """A column of metrics.jsonl."""
        lines = (self.folder / "metrics.jsonl").read_text().splitlines()
        return [line[key] for line in map(json.loads, lines) if key in line]


def launch(
    folder: Path,
    words: list[str],
    deepspeed: dict[str, Any],
    ranks: int,
    timeout: float = 180.0,
    prepare: Callable[[int], None] | None = None,
) -> Ended:
    """Train with a number of ranks, and wait for the end.

    Args:
        folder: the run's folder.
        words: preset and settings.
        deepspeed: DeepSpeed's JSON.
        ranks: how many.
        timeout: seconds after which all are killed and the test fails.
        prepare: called with its number on each rank before it trains; a function of a module.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.parent / f"{folder.name}.json"
    file.write_text(json.dumps(deepspeed))
    arguments = [*words, f"run={folder}", "--deepspeed_config", str(file)]
    return together("pretrain", arguments, folder, ranks, timeout, prepare)


def together(
    command: str,
    arguments: list[str],
    folder: Path,
    ranks: int,
    timeout: float = 180.0,
    prepare: Callable[[int], None] | None = None,
) -> Ended:
    """Run a command by a number of ranks, and wait for the end.

    Args:
        command: of dslm.
        arguments: of the command.
        folder: beside it is what the ranks print.
        ranks: how many.
        timeout: as for `launch`.
        prepare: as for `launch`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    outputs = [folder.parent / f"{folder.name}.{rank}" for rank in range(ranks)]
    for output in outputs:  # a rank may be ended before it has begun
        for kind in ("out", "err"):
            Path(f"{output}.{kind}").write_text("")
    port = free_port()
    processes = [
        context.Process(
            target=_rank,
            args=(rank, ranks, port, [command, *arguments], str(outputs[rank])),
            kwargs={"prepare": prepare} if prepare else {},
        )
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    code = _wait(processes, timeout)
    results, messages = (
        "".join(Path(f"{output}.{kind}").read_text() for output in outputs)
        for kind in ("out", "err")
    )
    return Ended(code, folder, results, messages)


def _wait(processes: list[Any], timeout: float) -> int:
    """Wait for all; when one fails, end the others."""
    end = time.monotonic() + timeout
    while any(process.is_alive() for process in processes):
        codes = [process.exitcode for process in processes]
        if any(codes) or time.monotonic() > end:
            break
        time.sleep(0.02)
    failed = next((process.exitcode for process in processes if process.exitcode), 0)
    late = time.monotonic() > end
    for seconds, stop in ((1.0, "terminate"), (20.0, "kill")):
        until = time.monotonic() + seconds * (not late)
        while any(process.is_alive() for process in processes) and time.monotonic() < until:
            time.sleep(0.02)
        for process in processes:
            if process.is_alive():
                getattr(process, stop)()
    for process in processes:
        process.join()
    assert not late, f"the ranks had not ended after {timeout} seconds"
    return int(failed)


def _rank(
    rank: int,
    ranks: int,
    port: int,
    arguments: list[str],
    output: str,
    prepare: Callable[[int], None] | None = None,
) -> None:
    """One rank: what a launcher sets, then the command."""
    for number, kind in ((1, "out"), (2, "err")):
        file = os.open(f"{output}.{kind}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, number)
    values = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_SIZE": ranks}
    os.environ |= {name: str(value) for name, value in values.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "DS_ACCELERATOR": "cpu"}
    os.environ["OMP_NUM_THREADS"] = "1"

    import torch

    from dslm.commands.cli import run
    from dslm.commands.main import dispatch

    torch.set_num_threads(1)
    if prepare is not None:
        prepare(rank)
    code = run(dispatch, arguments)
    sys.stdout.flush()
    os._exit(code)
