"""Quantization of a model that has been built: its chosen layers round from then on."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.layers import Linear, Table
from dslm.quantization.config import SCHEMES, QuantizationConfig
from dslm.quantization.integer import IntegerLinear
from dslm.quantization.rounding import InputQuantizer, Quantizer


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


def rounding(model: nn.Module) -> list[str]:
    """The names of the layers that round."""
    named = model.named_modules()
    return [name for name, layer in named if getattr(layer, "quantizer", None) is not None]


def set_quantizer(model: nn.Module, names: Iterable[str], quantizer: Quantizer) -> None:
    """Have the layers of some names round."""
    for layer in map(model.get_submodule, names):
        assert isinstance(layer, (Linear, Table))
        layer.quantizer = quantizer


@torch.no_grad()
def rounded_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights of the layers that round, as they round them, by name."""
    return {
        f"{name}.weight": layer.quantizer.weight(layer.weight)
        for name, layer in model.named_modules()
        if isinstance(layer, (Linear, Table)) and layer.quantizer is not None
    }


@torch.no_grad()
def ready_for_use(model: nn.Module) -> None:
    """Have a model that is trained no more compute the same faster.

    Weights are rounded once, and where inputs are rounded as well and both have 8 bits, a CPU
    multiplies whole numbers.
    """
    for parent in model.modules():
        for name, layer in parent.named_children():
            if not isinstance(layer, (Linear, Table)) or layer.quantizer is None:
                continue
            whole = layer.weight.device.type == "cpu" and layer.quantizer.scheme == SCHEMES["w8a8"]
            if isinstance(layer, Linear) and whole:
                setattr(parent, name, IntegerLinear(layer.weight, layer.bias))
            else:
                layer.weight.copy_(layer.quantizer.weight(layer.weight))
                layer.quantizer = InputQuantizer(layer.quantizer.scheme)
