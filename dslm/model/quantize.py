"""Quantization of a model that has been built: its chosen layers round from then on."""

from __future__ import annotations

import torch
from torch import nn

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


@torch.no_grad()
def settle(model: nn.Module) -> None:
    """Round the weights once and for all; inputs are not rounded any more."""
    for module in model.modules():
        if isinstance(module, (Linear, Table)) and module.quantizer is not None:
            module.weight.copy_(module.quantizer.weight(module.weight))
            module.quantizer = None


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
