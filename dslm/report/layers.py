"""Norms of each layer over the steps, as heat maps: a row for each layer, darker where larger."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dslm.report.chart import figure
from dslm.report.record import Entry, Record

KINDS = {"gradient_norm": "Gradient norms", "weight_norm": "Weight norms"}
"""What is logged of each layer, and its title."""
SHADES = 8
COLUMNS = 80
"""Steps that are shown at most, evenly spread."""


@dataclass(frozen=True)
class HeatMap:
    """A heat map whose cells are one wide and one high."""

    title: str
    layers: Sequence[int]
    """From top to bottom."""
    steps: Sequence[int]
    """From left to right."""
    shades: Sequence[str]
    """The outline of all cells of each shade, from light to dark, as SVG has paths."""
    low: str
    high: str
    """The smallest and the largest norm."""


def heat_maps(record: Record) -> list[HeatMap]:
    """Those of a run; none where norms of layers were not logged."""
    return [found for kind in KINDS if (found := _heat_map(record.log.training, kind))]


def _heat_map(entries: Sequence[Entry], kind: str) -> HeatMap | None:
    """What was logged of a kind, on a logarithmic scale; what is not finite stays empty."""
    prefix = f"{kind}/"
    logged = [entry for entry in entries if any(key.startswith(prefix) for key in entry.values)]
    shown = [entry for n, entry in enumerate(logged) if n % -(-len(logged) // COLUMNS) == 0]
    layers = sorted(
        {int(key.removeprefix(prefix)) for e in shown for key in e.values if key.startswith(prefix)}
    )
    logarithms = {
        (column, row): math.log(value)
        for column, entry in enumerate(shown)
        for row, layer in enumerate(layers)
        if (value := entry.values.get(f"{prefix}{layer}"))
    }
    if not logarithms:
        return None
    low, high = min(logarithms.values()), max(logarithms.values())
    shades = [""] * SHADES
    for (column, row), value in logarithms.items():
        share = (value - low) / (high - low) if high > low else 0.5
        shades[min(int(share * SHADES), SHADES - 1)] += f"M{column} {row}h1v1h-1z"
    ends = figure(math.exp(low)), figure(math.exp(high))
    return HeatMap(KINDS[kind], layers, [entry.step for entry in shown], shades, *ends)
