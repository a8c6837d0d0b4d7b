"""What each class counts for, so that rare ones are not drowned by frequent ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from dslm.errors import Problem
from dslm.objectives.batch import IGNORE
from dslm.shards.labels import all_labels
from dslm.shards.shard_set import ShardSet

ClassWeights: TypeAlias = (
    Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None
)
"""The setting."""


def weights_of(
    wanted: Literal["balanced"] | Mapping[str, float],
    classes: Sequence[str],
    shards: Iterable[ShardSet],
) -> tuple[float, ...]:
    """The weights of classes, in their order.

    Args:
        wanted: a weight by the name of a class, 1 where there is none; or balanced: labels /
            (classes × labels of this class), as in scikit-learn (King & Zeng 2001).
        classes: what they are called.
        shards: labelled sets, whose labels are numbers of classes.
    """
    if wanted != "balanced":
        return tuple(wanted.get(name, 1.0) for name in classes)
    counts = np.zeros(len(classes))
    for one in shards:
        for labels in all_labels(one):
            numbers = labels[labels != IGNORE].astype(np.int64)
            counts += np.bincount(numbers, minlength=len(classes))[: len(classes)]
    return tuple((counts.sum() / (len(classes) * counts.clip(min=1))).tolist())


def check_class_weights(kind: str, wanted: ClassWeights, classes: Sequence[str]) -> list[Problem]:
    """Whether a mapping names classes that there are.

    Args:
        kind: that of the task.
        wanted: the setting.
        classes: what they are called.
    """
    named = wanted if isinstance(wanted, dict) else {}
    shown = ", ".join(classes[:8]) + (", …" if len(classes) > 8 else "")
    return [
        Problem(f"objective.{kind}.class_weights.{name}", value, "is no class", f"use {shown}")
        for name, value in named.items()
        if name not in classes
    ]
