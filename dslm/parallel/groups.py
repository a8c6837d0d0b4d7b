"""The process groups of a layout: made in one place, by every rank in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from dslm.model.tensor_parallel import TensorAxis
from dslm.parallel.grid import Grid


@dataclass(frozen=True)
class Groups:
    """The groups of one rank."""

    grid: Grid
    rank: int
    copies: Any
    """The ranks that hold the same weights."""
    parts: Any
    """Those that together hold one copy of the model: along the pipeline and the tensor axis."""
    tensor: Any = None
    """Those along the tensor axis; `None` where this rank is the only one."""
    sequence: Any = None
    """Those along the sequence axis, likewise."""

    @classmethod
    def make(cls, grid: Grid) -> Groups:
        """Make those that a layout needs; every rank must call it."""
        return cls(
            grid,
            torch.distributed.get_rank(),
            copies=_along(grid, "data", "sequence"),
            parts=_along(grid, "pipeline", "tensor"),
            tensor=_along(grid, "tensor") if grid.tensor > 1 else None,
            sequence=_along(grid, "sequence") if grid.sequence > 1 else None,
        )

    @property
    def tensor_axis(self) -> TensorAxis:
        """The ranks along the tensor axis, as layers take them."""
        return TensorAxis(self.grid.tensor, self.grid.coordinates(self.rank).tensor, self.tensor)


def _along(grid: Grid, *axes: str) -> Any:
    """The group of the ranks that differ from this one along some axes alone."""
    ranks = grid.groups(*axes)
    if len(ranks) == 1:
        return torch.distributed.group.WORLD
    own, _ = torch.distributed.new_subgroups_by_enumeration(ranks)  # type: ignore[no-untyped-call]
    return own


class ModelParallelUnit:
    """The groups by the names that DeepSpeed's engines ask for (Megatron's ``mpu``)."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def get_model_parallel_group(self) -> Any:
        """The ranks that hold different parts of the same weights."""
        return self.groups.parts

    def get_model_parallel_rank(self) -> int:
        """Which of them this rank is."""
        return torch.distributed.get_rank(self.groups.parts)

    def get_model_parallel_world_size(self) -> int:
        """How many they are."""
        return torch.distributed.get_world_size(self.groups.parts)

    def get_data_parallel_group(self) -> Any:
        """The ranks that hold the same weights."""
        return self.groups.copies

    def get_data_parallel_rank(self) -> int:
        """Which of them this rank is."""
        return torch.distributed.get_rank(self.groups.copies)

    def get_data_parallel_world_size(self) -> int:
        """How many they are."""
        return torch.distributed.get_world_size(self.groups.copies)
