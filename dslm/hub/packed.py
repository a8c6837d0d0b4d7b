"""The format of compressed-tensors: rounded weights in few bits, see `dslm.hub.compressed`.

What loads them rounds the inputs of layers as training did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import nn

from dslm.errors import ConfigError, Problem, Problems
from dslm.hub.compressed import ENDS, KEY, Numbers, compressed, described, kinds
from dslm.hub.family import Family
from dslm.hub.foresight import check_rounded
from dslm.hub.formats import ReadBack, Written
from dslm.hub.labels import task_of
from dslm.hub.model_folder import (
    check_model_folder,
    read_model,
    tensors_of,
    write_model,
    written_shape,
)
from dslm.hub.names import copies, weights
from dslm.hub.registry import families_for, families_of_model
from dslm.hub.settings import refused
from dslm.inference.trained import Trained
from dslm.model.config import ModelConfig
from dslm.model.quantize import rounding, stored_numbers
from dslm.quantization.config import Scheme


def check(trained: Trained) -> list[Problem]:
    """What keeps a model from being written in few bits."""
    if nothing := check_rounded(trained.quantization):
        return nothing
    names, found = rounding(trained.model), Problems()
    found.problems += check_model_folder(trained)
    if any(isinstance(trained.model.get_submodule(name), nn.Embedding) for name in names):
        rule = "rounds embeddings, but compressed-tensors holds linear maps"
        found.problems.append(Problem("quantization.layers", "all", rule))
    scheme, layers = trained.quantization.selected, trained.quantization.layers
    pooled = trained.config.model.pair_head or trained.config.model.pooled
    if scheme and scheme.activations and layers == "linear" and pooled:
        rule = "rounds inputs of a pooled head, which transformers gives one step for all texts"
        found.problems.append(Problem("quantization.layers", layers, rule))
    if not found.problems:
        found.collect(_choose, trained)
    return found.problems


def write(trained: Trained, target: Path) -> Written:
    """Write a model with its rounded weights in few bits."""
    scheme = trained.quantization.selected
    assert scheme is not None
    family, kind, why = _choose(trained)
    rounded, others = _linear_maps(family, written_shape(family, trained), trained.model)
    tensors = compressed(tensors_of(family, trained, rounded=False), rounded, scheme, kind)
    maps = {f"{name}.weight{end}" for name in rounded for end in ENDS}
    size = sum(tensor.nbytes for name, tensor in tensors.items() if name in maps)
    said = {KEY: described(scheme, others, kind)}
    return write_model(trained, family, target, tensors, size, said, why)


def _choose(trained: Trained) -> tuple[Family, str, str]:
    """The first family that holds a model's rounded weights, how, and why not an earlier one.

    Raises:
        ConfigError: there is none.
    """
    scheme = trained.quantization.selected
    assert scheme is not None
    inputs, reasons = scheme.activations is not None, dict[str, str]()
    task = task_of(trained.config)
    for family in families_of_model(trained.config.model, task):
        for kind in kinds(scheme):
            reason = family.unpackable(kind, inputs)
            if not reason:
                return family, kind, "; ".join(_why(family, kind, scheme, reasons))
            reasons.setdefault(family.name, reason)
    other = _nearest(families_for(task), trained.config.model, kinds(scheme), inputs)
    raise ConfigError(*other, *(Problem(name, None, reason) for name, reason in reasons.items()))


def _nearest(
    families: Sequence[Family], config: ModelConfig, kinds: Sequence[str], inputs: bool
) -> list[Problem]:
    """What keeps a model from the nearest of some families that are loaded in few bits."""
    able = [one for one in families if not all(one.unpackable(kind, inputs) for kind in kinds)]
    return min((refused(family, config) for family in able), key=len)


def _why(family: Family, kind: str, scheme: Scheme, reasons: Mapping[str, str]) -> Iterator[str]:
    """Why a family, and why as a kind."""
    others = [(name, reason) for name, reason in reasons.items() if name != family.name]
    yield from (f"not {name}: {reason}" for name, reason in others)
    if family.name in reasons:
        yield f"{scheme.weights} bits lie in 8, as {reasons[family.name]}"


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
        pair = (weight.split(one.flatten(1).cpu()) for one in stored_numbers(model, layer))
        for name, (_, steps), (_, levels) in zip(names, *pair, strict=True):
            found[name] = steps, levels
    return found, others
