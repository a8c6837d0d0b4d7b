"""The format of compressed-tensors: rounded weights in few bits, see `dslm.hub.compressed`.

What loads them rounds the inputs of layers as training did.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from dslm.errors import ConfigError, Problem
from dslm.hub.compressed import KEY, Numbers, compressed, described
from dslm.hub.family import Family
from dslm.hub.formats import ReadBack, Written
from dslm.hub.model_folder import check_model_folder, read_model, tensors_of, write_model
from dslm.hub.names import copies, weights
from dslm.hub.registry import family_of_model
from dslm.inference.trained import Trained
from dslm.model.config import ModelConfig
from dslm.model.quantize import rounding, stored_numbers


def check(trained: Trained) -> list[Problem]:
    """What keeps a model from being written in few bits."""
    names = rounding(trained.model)
    if not names:
        rule, fix = "has no rounded weights to write in few bits", "choose a --scheme"
        return [Problem("the model", None, rule, fix)]
    problems = check_model_folder(trained)
    if any(isinstance(trained.model.get_submodule(name), nn.Embedding) for name in names):
        rule = "rounds embeddings, but compressed-tensors holds linear maps"
        problems.append(Problem("quantization.layers", "all", rule))
    try:
        family = family_of_model(trained.config.model)
    except ConfigError:
        return problems
    if any(tensors.transposed for table in family.names.values() for tensors in table.values()):
        rule = "has maps of a kind (Conv1D) whose packed weights transformers leaves random"
        problems.append(Problem(family.name, None, rule))
    return problems


def write(trained: Trained, target: Path) -> Written:
    """Write a model with its rounded weights in few bits."""
    scheme = trained.quantization.selected
    assert scheme is not None
    family = family_of_model(trained.config.model)
    rounded, others = _linear_maps(family, family.fitting(trained.config.model), trained.model)
    tensors = compressed(tensors_of(family, trained, rounded=False), rounded, scheme)
    return write_model(trained, family, target, tensors, {KEY: described(scheme, others)})


def read(target: Path) -> ReadBack:
    """The model in a folder."""
    return read_model(target)


def _linear_maps(
    family: Family, config: ModelConfig, model: nn.Module
) -> tuple[Numbers, list[str]]:
    """By their names, the linear maps whose weights are rounded, and those whose are not.

    Args:
        family: whose names to use.
        config: the shape that is written.
        model: ours, whose layers round.
    """
    others = [name.removesuffix(".weight") for name in copies(family, config)]
    found: Numbers = {}
    rounds = set(rounding(model))
    linear = {name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    for weight in weights(family, config):
        layer, _, kind = f"layers.{weight.ours}".rpartition(".")
        if kind != "weight" or layer not in linear:
            continue
        names = [name.removesuffix(".weight") for name in weight.theirs]
        if layer not in rounds:
            others += names
            continue
        steps, levels = (one.flatten(1).cpu() for one in stored_numbers(model, layer))
        parts = (torch.split(one, list(weight.rows)) for one in (steps, levels))
        found.update(zip(names, zip(*parts, strict=True), strict=True))
    return found, others
