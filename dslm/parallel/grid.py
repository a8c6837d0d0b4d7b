"""The ranks as a grid of named axes; no torch.

Of two ranks that are next to each other the tensor axis differs first, as those ranks exchange the
most, then the sequence axis, the data axis, and last the pipeline's. It is the order in which
DeepSpeed's own topology counts (pipe, data, model).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import product
from math import prod
from typing import NamedTuple


class Coordinates(NamedTuple):
    """Where a rank is on each axis."""

    pipeline: int
    data: int
    sequence: int
    tensor: int


@dataclass(frozen=True)
class Grid:
    """How many ranks there are along each axis."""

    pipeline: int = 1
    """Ranks that hold different layers."""
    data: int = 1
    """Ranks that read different rows: replicas."""
    sequence: int = 1
    """Ranks that compute different tokens of the same rows."""
    tensor: int = 1
    """Ranks that hold different parts of each matrix."""

    @property
    def world(self) -> int:
        """All ranks."""
        return prod(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of ranks along each axis, in the order of `Coordinates`."""
        return tuple(asdict(self).values())

    @property
    def copies(self) -> int:
        """Ranks that hold the same weights, which ZeRO divides among them."""
        return self.data * self.sequence

    def coordinates(self, rank: int) -> Coordinates:
        """Where a rank is."""
        found = []
        for size in reversed(self.sizes):
            rank, place = divmod(rank, size)
            found.append(place)
        return Coordinates(*reversed(found))

    def copy(self, rank: int) -> int:
        """Which of the `copies` a rank is."""
        at = self.coordinates(rank)
        return at.data * self.sequence + at.sequence

    def in_stage(self, rank: int) -> int:
        """Which rank of its pipeline stage a rank is."""
        return rank % (self.world // self.pipeline)

    def groups(self, *axes: str) -> list[list[int]]:
        """The ranks that differ along some axes alone, one list for each place on the others."""
        ranges = [range(size) for size in self.sizes]
        found: dict[tuple[int, ...], list[int]] = {}
        for rank, at in enumerate(map(Coordinates._make, product(*ranges))):
            others = tuple(getattr(at, name) for name in at._fields if name not in axes)
            found.setdefault(others, []).append(rank)
        return list(found.values())
