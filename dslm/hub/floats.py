"""The format of floats: float32 as `transformers` keeps it, rounded weights on their grid.

The inputs of layers are not rounded by what loads them.
"""

from __future__ import annotations

from pathlib import Path

from dslm.errors import Problem
from dslm.hub.formats import ReadBack, Written
from dslm.hub.labels import task_of
from dslm.hub.model_folder import check_model_folder, read_model, tensors_of, write_model
from dslm.hub.registry import family_of_model
from dslm.inference.trained import Trained
from dslm.model.quantize import rounded_weights


def check(trained: Trained) -> list[Problem]:
    """What keeps a model from being written as floats."""
    return check_model_folder(trained)


def write(trained: Trained, target: Path) -> Written:
    """Write a model as floats."""
    family = family_of_model(trained.config.model, task_of(trained.config))
    tensors = tensors_of(family, trained, rounded=True)
    size = sum(weight.nbytes for weight in rounded_weights(trained.model).values())
    return write_model(trained, family, target, tensors, size)


def read(target: Path) -> ReadBack:
    """The model in a folder."""
    return read_model(target)
