"""Ranks that are asked to stop, or killed, at a chosen point of a run; for `launching.launch`."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class At:
    """Sends signals to one rank when a run comes to a point for the n-th time."""

    point: str
    number: signal.Signals = signal.SIGUSR1
    rank: int = 1
    nth: int = 1
    times: int = 1

    def __call__(self, rank: int) -> None:
        """Prepare a rank, see `launching.launch`."""
        if rank == self.rank:
            owner, name = _point(self.point)
            setattr(owner, name, self._before(getattr(owner, name)))

    def _before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        def changed(*given: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.nth:
                send(self.number, self.times)
            return function(*given, **named)

        return changed


def send(number: signal.Signals, times: int = 1) -> None:
    """Send signals to this process, and wait until each has been taken."""
    from dslm import signals

    signals.BURST = 0.0
    for count in range(1, times + 1):
        os.kill(os.getpid(), number)
        while signals.REQUESTS._counts[number] < count:
            time.sleep(0.001)


def _point(name: str) -> tuple[Any, str]:
    """Where a function stands that a run calls at a point."""
    from dslm.parallel import layout
    from dslm.run import checkpoint_writer
    from dslm.train import checkpointer, held_out, loop, pretrain

    return {
        "checking": (pretrain, "verify_data"),
        "starting": (layout, "create"),
        "restoring": (checkpointer.Checkpointer, "restore"),
        "training": (loop.Loop, "train_step"),
        "measuring": (held_out, "validation_batches"),
        "saving": (checkpointer.Checkpointer, "save"),
        "writing": (checkpoint_writer.Writer, "write"),
    }[name]
