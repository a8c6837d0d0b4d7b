"""What is another in one checkpoint than in a second: tensors, and the values beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from dslm.progress import Advance
from dslm.run.checkpoint_tensors import Tensors, blocks
from dslm.run.folder import flat
from dslm.run.tensor_file import TensorFile

Kind = Literal["added", "removed", "reshaped", "changed"]


@dataclass(frozen=True)
class Change:
    """A tensor that is another."""

    name: str
    kind: Kind
    before: tuple[int, ...] | None
    """Its shape in the first checkpoint; `None` where it is not there."""
    after: tuple[int, ...] | None
    """Its shape in the second."""
    relative: float | None = None
    """Of a changed one the norm of the difference over the norm before: infinite where it was zero
    before, nan where a number that differs is not finite."""


@dataclass(frozen=True)
class Other:
    """A setting or a number that is another; `None` where one checkpoint does not have it."""

    key: str
    before: Any
    after: Any


def diff_tensors(before: Tensors, after: Tensors, advance: Advance | None = None) -> list[Change]:
    """The tensors that were added, removed, reshaped or changed, in this order.

    The changed ones begin with what is not finite, then come the largest relative changes.

    Args:
        before: the tensors of the first checkpoint.
        after: those of the second.
        advance: called with how many numbers of both were compared.
    """
    changes = [
        Change(name, "added", None, after[name].shape(name)) for name in after if name not in before
    ]
    changes += [
        Change(name, "removed", before[name].shape(name), None)
        for name in before
        if name not in after
    ]
    both = {name: (file, after[name]) for name, file in before.items() if name in after}
    shapes = {name: (old.shape(name), new.shape(name)) for name, (old, new) in both.items()}
    changes += [Change(name, "reshaped", *two) for name, two in shapes.items() if two[0] != two[1]]
    changed = []
    for name, (old, new) in both.items():
        shape, other = shapes[name]
        if shape == other and (relative := _relative_change(name, old, new, advance)) is not None:
            changed.append(Change(name, "changed", shape, other, relative))
    return changes + sorted(changed, key=_size)


def _size(change: Change) -> tuple[bool, float]:
    """The place of a change among others: nan, then the largest."""
    relative = change.relative or 0.0
    return not math.isnan(relative), -relative


def _relative_change(
    name: str, before: TensorFile, after: TensorFile, advance: Advance | None
) -> float | None:
    """See `Change.relative`; `None` where all numbers are the same."""
    moved, length, same = 0.0, 0.0, True
    for old, new in zip(blocks(before, name), blocks(after, name), strict=True):
        if not np.array_equal(old, new, equal_nan=True):
            same = False
            with np.errstate(invalid="ignore"):  # infinity minus infinity
                difference = new.astype(np.float64) - old
            difference[(old == new) | (np.isnan(old) & np.isnan(new))] = 0.0
            moved += float(difference @ difference)
        numbers = old[np.isfinite(old)].astype(np.float64)
        length += float(numbers @ numbers)
        if advance is not None:
            advance(old.size)
    if same:
        return None
    if not math.isfinite(moved):
        return math.nan
    return math.sqrt(moved / length) if length else math.inf


def diff_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Other]:
    """The values that are others, by their dotted keys."""
    old, new = flat(before), flat(after)
    return [
        Other(key, old.get(key), new.get(key))
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]
