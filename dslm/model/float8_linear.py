"""Linear maps that torchao, the extra ``dslm[fp8]``, computes in 8-bit floats.

The formats are those of Micikevicius et al. 2022 (FP8 Formats for Deep Learning).
Weights stay what they are, in name, type and place; inputs, weights and gradients are scaled and
cast for each product anew. Without an accelerator torchao emulates it: it rounds to the same 8 bits
and multiplies in the wider type.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.float8 import UNIT, Float8Config
from dslm.model.layers import Linear


class Float8Product:
    """What torchao makes of a recipe.

    Args:
        recipe: that of `Float8Config`.
        emulate: whether to multiply in the wider type.
    """

    def __init__(self, recipe: str, emulate: bool) -> None:
        from torchao.float8 import Float8LinearConfig
        from torchao.float8.float8_linear import matmul_with_hp_or_float8_args

        self.torchao = matmul_with_hp_or_float8_args
        self.config = replace(Float8LinearConfig.from_recipe_name(recipe), emulate=emulate)
        self._plain, self._padded = (
            _products(replace(self.config, pad_inner_dim=pad)) for pad in (False, True)
        )

    def products(self, inputs: Tensor) -> Any:
        """How torchao multiplies: tokens are padded where the hardware asks for it.

        They are an inner dimension in the backward pass.
        """
        uneven = inputs.shape[:-1].numel() % UNIT and not self.config.emulate
        return self._padded if uneven else self._plain

    def __call__(self, inputs: Tensor, weight: Tensor) -> Tensor:
        """Multiply […, in] by the transpose of [out, in]."""
        if torch.compiler.is_compiling():  # which decides by itself what is kept
            how = self.products(inputs), self.config
            product: Tensor = self.torchao.apply(inputs, weight.t(), *how)
        else:
            product = _Product.apply(inputs, weight, self)  # type: ignore[no-untyped-call]
        return product


def _products(config: Any) -> Any:
    from torchao.float8.float8_linear import Float8Linear

    with torch.device("meta"):
        return Float8Linear(UNIT, UNIT, bias=False, config=config).linear_mm_config


class _Product(torch.autograd.Function):
    """torchao's product, which keeps the weight itself for the backward pass.

    torchao keeps a transposed view of it; under ZeRO-3 that would hold on to every gathered weight
    until the backward pass, when DeepSpeed gathers it again.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, made: Float8Product) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.made = made
        unused = SimpleNamespace(save_for_backward=lambda *_: None)
        how = made.products(inputs)
        found: Tensor = made.torchao.forward(unused, inputs, weight.t(), how, made.config)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        inputs, weight = ctx.saved_tensors
        saved = SimpleNamespace(
            saved_tensors=(inputs, weight.t()),
            linear_mm_config=ctx.made.products(inputs),
            config=ctx.made.config,
        )
        of_inputs, of_weight, *_ = ctx.made.torchao.backward(saved, *gradients)
        return of_inputs, of_weight.t(), None


def use_float8(model: nn.Module, config: Float8Config) -> None:
    """Have the linear maps of the blocks that are wide enough compute in float8.

    Args:
        model: a Transformer, or a part of it, on its device.
        config: the settings.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    product = Float8Product(config.recipe, emulate=on_cpu)
    for block in (module for module in model.modules() if isinstance(module, Block)):
        for layer in block.modules():
            if isinstance(layer, Linear) and config.takes(layer.in_features, layer.out_features):
                layer.product = product
