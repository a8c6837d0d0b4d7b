"""Counts where the host asks the device for a number, for which it has to wait."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal")
"""Operations whose result, or its shape, the host must know: float(), bool(), .item() …"""


class Asked(TorchDispatchMode):
    """Counts these operations by the step and by the function of a library that asks."""

    def __init__(self, now: Any) -> None:
        super().__init__()
        self.now, self.counts = now, Counter[tuple[int, str]]()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), more: Any = None
    ) -> Any:
        if function.overloadpacket.__name__ in ASKING:
            self.counts[self.now(), _who()] += 1
        return function(*arguments, **(more or {}))


def _who() -> str:
    """The innermost function of dslm or DeepSpeed that is being called."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.split(".")[0] in ("dslm", "deepspeed"):
            return f"{name}.{frame.f_code.co_qualname if sys.version_info >= (3, 11) else ''}"
        frame = frame.f_back
    return "?"


def count_waits(file: Path, rank: int) -> None:
    """Let a rank write down where it asks in each step; called before it trains."""
    from dslm.train.loop import Loop

    run = Loop._run

    def counted(loop: Loop) -> Any:
        assert not loop.engine.engine.tput_timer.config.enabled, "it waits for the device"
        with Asked(lambda: loop.position.step) as asked:
            ended = run(loop)
        lines = [[step, who, count] for (step, who), count in sorted(asked.counts.items())]
        Path(f"{file}.{rank}").write_text(json.dumps(lines))
        return ended

    Loop._run = counted  # type: ignore[method-assign]


def forbid_waits(after: int) -> None:
    """Let a wait for the GPU that torch notices be an error, but for what is written down.

    Args:
        after: steps that may wait, the first ones.
    """
    import torch

    from dslm.train.loop import Loop

    def until_then(name: str, mode: str) -> None:
        plain = getattr(Loop, name)

        def called(loop: Loop) -> Any:
            torch.cuda.set_sync_debug_mode(mode if loop.position.step >= after else "default")
            return plain(loop)

        setattr(Loop, name, called)

    until_then("train_step", "error")
    for name in ("save", "ending"):
        until_then(name, "default")
    log = Loop.log

    def logged(loop: Loop, loss: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")
        log(loop, loss)

    Loop.log = logged  # type: ignore[method-assign]
