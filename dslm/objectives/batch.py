"""What an objective makes of samples: the inputs of a model and the labels of its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Value: TypeAlias = "Tensor | tuple[Tensor, ...]"
Batch: TypeAlias = "tuple[Value, Value]"
"""Inputs and labels of one micro-batch: a tensor or several, the first axis their rows."""

IGNORE = -100
"""The label of a position that does not count."""
