"""What an objective makes of samples: the inputs of a model and the labels of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from dslm.arrays import Int64Array

if TYPE_CHECKING:
    from torch import Tensor

Value: TypeAlias = "Tensor | tuple[Tensor, ...]"
Batch: TypeAlias = "tuple[Value, Value]"
"""Inputs and labels of one micro-batch: a tensor or several, the first axis their rows."""

IGNORE = -100
"""The label of a position that does not count."""


def as_batch(inputs: Sequence[Int64Array], labels: Sequence[Int64Array]) -> Batch:
    """Arrays as tensors on the CPU, a single one alone."""
    return _value(inputs), _value(labels)


def filled(rows: Sequence[Int64Array], width: int, value: int) -> Int64Array:
    """Rows of different lengths as one array [B, `width`], with a value behind each."""
    made = np.full((len(rows), width), value, dtype=np.int64)
    for row, numbers in zip(made, rows, strict=True):
        row[: numbers.size] = numbers
    return made


def position_ids(documents: Int64Array) -> Int64Array:
    """[B, S], the position of each token in its document, of which one row may hold several."""
    positions = np.arange(documents.shape[1])
    begins = np.diff(documents, axis=1, prepend=-1) != 0
    firsts = np.maximum.accumulate(np.where(begins, positions, 0), axis=1)
    found: Int64Array = positions - firsts
    return found


def each(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """A value with every tensor changed."""
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)


def _value(arrays: Sequence[Int64Array]) -> Value:
    import torch

    made = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
    return made if len(made) > 1 else made[0]
