"""Which checkpoints stay: the newest, every M-th, and beside them the best.

A checkpoint holds the validation loss that was measured at its very step, if one was, so that the
best is known after a resume, and where ``metrics.jsonl`` is lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dslm.errors import UserError
from dslm.run.checkpoint import checkpoints, read_state

KEY = "validation"
"""Where the state of a checkpoint holds it."""


@dataclass(frozen=True)
class Measured:
    """A validation loss, and of which rows."""

    loss: float
    data: str
    """The fingerprint of their shard set."""
    rows: int

    def is_of_the_rows_of(self, other: Measured) -> bool:
        """Whether two losses can be compared."""
        return (self.data, self.rows) == (other.data, other.rows)


def write_measured(measured: Measured | None) -> dict[str, Any]:
    """What the state of a checkpoint holds of a measurement at its step."""
    if measured is None or not math.isfinite(measured.loss):
        return {}
    return {KEY: asdict(measured)}


def read_measured(state: Mapping[str, Any]) -> Measured | None:
    """The measurement in the state of a checkpoint; `None` where it holds none."""
    try:
        found = Measured(**state[KEY])
        return found if math.isfinite(found.loss) else None
    except (KeyError, TypeError):
        return None


def best(root: Path) -> int | None:
    """The step of the checkpoint with the lowest validation loss, of equals the newest.

    Losses of other rows than those of the newest measurement are not compared with it.
    """
    found: list[tuple[int, Measured]] = []
    for step, folder in checkpoints(root):
        with suppress(UserError):
            if measured := read_measured(read_state(folder)):
                found.append((step, measured))
    alike = [(one.loss, -step) for step, one in found if one.is_of_the_rows_of(found[0][1])]
    return -min(alike)[1] if alike else None
