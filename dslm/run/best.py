"""Which checkpoints stay: the newest, every M-th, and beside them the best.

A checkpoint holds what was measured on held-out data at its very step, if anything was, so that the
best is known after a resume, and where ``metrics.jsonl`` is lost. Of models of a task the best is
the one with the highest metric, and of equals that with the lowest loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from dslm.errors import UserError
from dslm.run.checkpoint import checkpoints, read_state

Step: TypeAlias = int | Literal["best"] | None
"""A checkpoint as a user names it: by its step, the best, or the newest (`None`)."""
KEY = "validation"
"""Where the state of a checkpoint holds it."""
LOSS = "loss"
"""By what the best is chosen where it is not a metric."""


@dataclass(frozen=True)
class Measured:
    """A validation loss and metrics, and of which rows."""

    loss: float
    data: str
    """The fingerprint of their shard set."""
    rows: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    """By which it may be chosen, each the better the higher; one that is not finite is left out."""
    by: str = LOSS
    """The one by which checkpoints are compared, or `LOSS`."""

    def is_of_the_rows_of(self, other: Measured) -> bool:
        """Whether two can be compared."""
        return (self.data, self.rows) == (other.data, other.rows)

    def is_like(self, other: Measured) -> bool:
        """Whether both are of the same rows, and the same metric decides."""
        return self.is_of_the_rows_of(other) and self.by == other.by

    def beats(self, other: Measured) -> bool:
        """Whether this one is better than another of the same rows."""
        return self.rank(self.by) < other.rank(self.by)

    def rank(self, by: str) -> tuple[float, float]:
        """What is lower for a better model; one without the metric is behind all that have it."""
        loss = self.loss if math.isfinite(self.loss) else math.inf
        return -self.metrics.get(by, -math.inf), loss

    def __str__(self) -> str:
        loss = f"loss {self.loss:.4f}"
        if self.by not in self.metrics:
            return loss
        return f"{self.by.replace('_', ' ')} {self.metrics[self.by]:.4f} ({loss})"


def write_measured(measured: Measured | None, key: str = KEY) -> dict[str, Any]:
    """What the state of a checkpoint holds of a measurement, under a key."""
    if measured is None or not math.isfinite(measured.loss):
        return {}
    return {key: asdict(measured)}


def read_measured(state: Mapping[str, Any], key: str = KEY) -> Measured | None:
    """The measurement under a key of the state of a checkpoint; `None` where there is none."""
    try:
        found = Measured(**state[key])
        finite = map(math.isfinite, [found.loss, *found.metrics.values()])
        return found if all(finite) else None
    except (KeyError, TypeError, AttributeError):
        return None


def best_measured(root: Path) -> tuple[int, Measured] | None:
    """The best checkpoint, of equals the newest: its step, and what was measured there.

    It is chosen by what decided at the newest measurement, among those of the same rows.
    """
    found: list[tuple[int, Measured]] = []
    for step, folder in checkpoints(root):
        with suppress(UserError):
            if measured := read_measured(read_state(folder)):
                found.append((step, measured))
    if not found:
        return None
    newest = found[0][1]
    alike = [(step, one) for step, one in found if one.is_of_the_rows_of(newest)]
    return min(alike, key=lambda one: (one[1].rank(newest.by), -one[0]))


def best(root: Path) -> int | None:
    """The step of the best checkpoint, see `best_measured`."""
    found = best_measured(root)
    return None if found is None else found[0]
