"""Blocks that compute their activations again in the backward pass: all, or what is cheap.

All of them: Chen et al. 2016. What is cheap, all but products with weights and fused attention:
Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models", 2022.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

_aten = torch.ops.aten
KEPT: list[Any] = [
    _aten.mm.default,
    _aten.addmm.default,
    _aten._scaled_mm.default,
    _aten._grouped_mm.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.higher_order.flex_attention,
]
"""The operations whose results are kept where the others are computed again."""


def recomputed(
    block: nn.Module, forward: Callable[..., Tensor], hidden: Tensor, *others: Any
) -> Tensor:
    """What a block makes of hidden vectors and other arguments, without keeping how.

    Re-entrant, because ZeRO-3 frees gathered weights between the two passes, which the other kind
    mistakes for activations that changed their shape. That kind computes gradients only where one
    of its arguments has one, which `hidden` has not where no layer before the block learns.
    """
    if not hidden.requires_grad:
        if not any(weight.requires_grad for weight in block.parameters()):
            return forward(hidden, *others)
        if not torch.compiler.is_compiling():  # whose kind asks for no gradient of its arguments
            hidden = hidden.detach().requires_grad_()
    made: Tensor = checkpoint(
        forward,
        hidden,
        *others,
        use_reentrant=True,
        preserve_rng_state=False,  # nothing is drawn
    )
    return made


def recomputed_selectively(forward: Callable[..., Tensor], *given: Any) -> Tensor:
    """What a block makes of its arguments, keeping the results of `KEPT` alone.

    Only the kind that is not re-entrant can choose; under ZeRO-3 its gradients are wrong.
    """
    made: Tensor = checkpoint(
        forward,
        *given,
        use_reentrant=False,
        preserve_rng_state=False,
        context_fn=partial(create_selective_checkpoint_contexts, KEPT),
    )
    return made
