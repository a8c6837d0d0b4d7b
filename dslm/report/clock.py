"""When a run was at a step: tokens seen and seconds of training, for charts over these."""

from __future__ import annotations

import json
from collections.abc import Sequence

from dslm.report.record import Record
from dslm.report.series import series

KNOTS = 150
"""Steps of which both are written down, evenly spread; between them they lie on straight lines."""


def clocks(records: Sequence[Record]) -> str:
    """Those of several runs as JSON: of each some steps, and what was logged there."""
    return json.dumps([_clock(record) for record in records], separators=(",", ":"))


def units(records: Sequence[Record]) -> list[str]:
    """What the charts of these runs can be drawn over: what all of them have logged."""
    found = [_clock(record) for record in records]
    return ["step", *(unit for unit in ("tokens", "time") if all(unit in one for one in found))]


def _clock(record: Record) -> dict[str, list[float]]:
    lines = record.log.training
    every = max(1, len(lines) // KNOTS)
    knots = [*lines[:-1:every], lines[-1]]
    found: dict[str, list[float]] = {"steps": [line.step for line in knots]}
    tokens = series(knots, "tokens")
    if len(tokens) == len(knots) and all(point.finite for point in tokens):
        found["tokens"] = [int(point.value) for point in tokens]
    if knots[-1].seconds:
        found["time"] = [float(f"{line.seconds:.5g}") for line in knots]
    return found
