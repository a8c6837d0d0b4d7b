"""Quantization of a model that has been built: its chosen layers round from then on."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.layers import Linear, Table
from dslm.quantization.config import SCHEMES, QuantizationConfig
from dslm.quantization.integer import IntegerLinear, is_fast
from dslm.quantization.rounding import Quantizer, SettledQuantizer


def quantize(model: nn.Module, config: QuantizationConfig) -> Quantizer | None:
    """Have the chosen layers round; names and values of the weights stay as they are.

    Args:
        model: a Transformer, or a part of it.
        config: the settings.

    Returns:
        What the layers round to, to be switched on and off; `None` without a scheme.
    """
    scheme = config.selected
    if scheme is None:
        return None
    quantizer = Quantizer(scheme)
    parents = [model]
    if config.layers == "blocks":
        parents = [module for module in model.modules() if isinstance(module, Block)]
    kinds = (Linear, Table) if config.layers == "all" else (Linear,)
    for module in (module for parent in parents for module in parent.modules()):
        if isinstance(module, kinds):
            module.quantizer = quantizer
    return quantizer


def rounding_layers(model: nn.Module) -> dict[str, Linear | Table]:
    """The layers that round, by name."""
    named = model.named_modules()
    found = {name: layer for name, layer in named if isinstance(layer, (Linear, Table))}
    return {name: layer for name, layer in found.items() if layer.quantizer is not None}


def rounding(model: nn.Module) -> list[str]:
    """The names of the layers that round."""
    return list(rounding_layers(model))


def set_quantizer(model: nn.Module, names: Iterable[str], quantizer: Quantizer) -> None:
    """Have the layers of some names round."""
    for layer in map(model.get_submodule, names):
        assert isinstance(layer, (Linear, Table))
        layer.quantizer = quantizer


def stored_numbers(model: nn.Module, name: str) -> tuple[Tensor, Tensor]:
    """What is stored of the weight [out, in] of a layer that rounds.

    Args:
        model: holds the layer.
        name: of the layer, see `rounding`.

    Returns:
        Steps [out, groups, 1] in float32 and levels [out, groups, in / groups] in int8.
    """
    layer = model.get_submodule(name)
    if not isinstance(layer, (Linear, Table)) or layer.quantizer is None:
        raise ValueError(f"{name} does not round")
    steps, levels = layer.quantizer.grid(layer.weight)
    return steps, levels.to(torch.int8)


@torch.no_grad()
def put(layer: Linear | Table, steps: Tensor, levels: Tensor) -> None:
    """Give a layer that rounds a weight on its grid; its inputs are rounded as before.

    Args:
        layer: has a quantizer.
        steps: [out, groups, 1].
        levels: [out, groups, in / groups].
    """
    if layer.quantizer is None:
        raise ValueError("the layer does not round")
    layer.weight.copy_((levels * steps).view_as(layer.weight))
    layer.quantizer = SettledQuantizer(layer.quantizer.scheme, steps)


@torch.no_grad()
def rounded_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the layers that round, as they round them, by name."""
    return {
        f"{name}.weight": layer.quantizer.weight(layer.weight)
        for name, layer in rounding_layers(model).items()
        if layer.quantizer is not None
    }


@torch.no_grad()
def ready_for_use(model: nn.Module) -> None:
    """Have a model that is trained no more compute the same faster.

    Weights are rounded once, and where inputs are rounded as well and both have 8 bits, a CPU with
    instructions for it multiplies whole numbers.
    """
    for parent in model.modules():
        for name, layer in parent.named_children():
            if not isinstance(layer, (Linear, Table)) or layer.quantizer is None:
                continue
            steps, levels = layer.quantizer.grid(layer.weight)
            whole = is_fast(layer.weight.device) and layer.quantizer.scheme == SCHEMES["w8a8"]
            if isinstance(layer, Linear) and whole:
                setattr(parent, name, IntegerLinear(steps, levels, layer.bias))
            else:
                put(layer, steps, levels)
