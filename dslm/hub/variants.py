"""The classes of a family whose models have another head: those of tasks, and those without one.

Each is a `Family` of its own that shares the tables of the usual one. A task is a line in a
family's module; what config.json says of its labels is in `labels`.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.hub.family import Family, Key, Tensors
from dslm.model.heads import ClassHead

CLASSES = "num_labels"
NAMES = "id2label"


def of_task(
    family: Family, task: str, architecture: str, ours: Mapping[str, Any], **names: Tensors
) -> Family:
    """The models of a family that score the classes of a task.

    Args:
        family: the usual ones.
        task: the kind of objective.
        architecture: the class of `transformers`.
        ours: settings of ours that are the same in all of them.
        names: the parts of `ClassHead`.
    """
    plain = {"transform": False, "pair_head": False}

    def renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
        named = settings.get(NAMES)
        count = len(named) if isinstance(named, dict | list) else settings.get(CLASSES, 2)
        return {**family.renewed(settings, held), CLASSES: count}

    return replace(
        family,
        task=task,
        architectures={architecture: {}},
        keys=(*family.keys, Key(CLASSES, "classes")),
        ours={**family.ours, **plain, **ours},
        names={**family.names, ClassHead: names},
        holds={},
        twins={},
        renewed=renewed,
    )


def without_head(family: Family, architecture: str, **holds: str) -> Family:
    """The models of a family that end with their hidden vectors.

    Args:
        family: the usual ones.
        architecture: the class of `transformers`.
        holds: as in `Family`.
    """
    return replace(family, architectures={architecture: {}}, holds=holds, headless=True)
