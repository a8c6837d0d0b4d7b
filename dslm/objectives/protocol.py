"""What the loop asks of an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Batch: TypeAlias = "tuple[Tensor, Tensor]"
"""Inputs and labels of one micro-batch."""


class Objective(Protocol):
    """What an example is, and how its loss is counted."""

    ignore: int
    """The label of a place that does not count."""

    @staticmethod
    def example(rows: Tensor) -> Batch:
        """Inputs and labels of rows of tokens [B, S + 1]."""

    @staticmethod
    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        """A float32 scalar: the mean over rows; a row without labels counts as zero."""
