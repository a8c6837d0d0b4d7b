"""What goes wrong inside a rank on purpose; the rest of the rank is the user's own run."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WEIGHTS, MOMENTS = ".safetensors", ".optimizer.safetensors"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong once."""

    kind: str
    """A key of `KINDS`."""
    rank: int
    """On which rank."""
    step: int
    """While which step is made, or while the checkpoint of which step is written; from 1."""
    file: str = MOMENTS
    """While a file that ends so is written; only of faults of writing."""


@dataclass(frozen=True)
class Orders:
    """What a rank is to do besides training."""

    rows: str
    """Folder for the fingerprints of the rows that are read."""
    faults: tuple[Fault, ...] = ()
    pause: float = 0.0
    """Seconds that each step takes longer, so that something can be done while it is made."""

    def text(self) -> str:
        """As one argument of a command."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Orders:
        """From the text of `text`."""
        read = json.loads(text)
        return cls(**{**read, "faults": tuple(Fault(**fault) for fault in read["faults"])})


def _kill(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _full(*_: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


STEP: dict[str, Callable[..., None]] = {"killed": _kill, "stopped": _stop}
"""Faults before a step."""
WRITING: dict[str, Callable[..., None]] = {"killed while writing": _kill, "disk full": _full}
"""Faults while a file of a checkpoint is written."""
KINDS = (*STEP, *WRITING, "nan")
"""All faults; ``nan`` is a loss that is not a number."""


def install(orders: Orders, rank: int) -> None:
    """Let the faults of this rank happen, and write down which rows it reads.

    Args:
        orders: what to do.
        rank: this rank.
    """
    from dslm.objectives.base import Objective
    from dslm.train import loop

    faults = [fault for fault in orders.faults if fault.rank == rank]
    right, read, loss_of = loop.Loop.train_step, loop.Loop.coming_batch, Objective.loss
    rows = (Path(orders.rows) / f"rank-{rank}.jsonl").open("w", buffering=1)
    making = [0]

    def train_step(self: loop.Loop) -> Any:
        making[0] = self.position.step + 1
        time.sleep(orders.pause)
        for fault in faults:
            if fault.kind in STEP and fault.step == making[0]:
                STEP[fault.kind]()
        try:
            return right(self)
        finally:
            making[0] = 0

    def coming_batch(self: loop.Loop) -> Iterator[Any]:
        def noted(batch: Any) -> Any:
            line = {"step": making[0], "replica": self.engine.replica, "rows": fingerprints(batch)}
            rows.write(json.dumps(line) + "\n")
            return batch

        return map(noted, read(self))

    def loss(self: Objective, *arguments: Any) -> Any:
        found = loss_of(self, *arguments)
        wrong = any(fault.kind == "nan" and fault.step == making[0] for fault in faults)
        return found * math.nan if wrong else found

    spoiled: tuple[Any, ...] = loop.Loop, Objective
    spoiled[0].coming_batch, spoiled[0].train_step = coming_batch, train_step
    spoiled[1].loss = loss
    _spoil_writing([fault for fault in faults if fault.kind in WRITING])


def _spoil_writing(faults: list[Fault]) -> None:
    from dslm.run.checkpoint_writer import Writer

    spoiled: Any = Writer
    write = spoiled.write

    def written(self: Writer, name: str, *arguments: Any) -> Any:
        for fault in faults:
            weights = fault.file == WEIGHTS and not name.endswith(MOMENTS)
            hit = weights or (fault.file == MOMENTS and name.endswith(MOMENTS))
            if hit and self.final.name == f"step-{fault.step:08d}":
                WRITING[fault.kind]()
        return write(self, name, *arguments)

    spoiled.write = written


def fingerprints(batch: Any) -> list[str]:
    """A short hash of the inputs of each row of a micro-batch."""
    inputs, _ = batch
    first = inputs[0] if isinstance(inputs, tuple) else inputs
    return [hashlib.sha256(row.cpu().numpy().tobytes()).hexdigest()[:16] for row in first]
