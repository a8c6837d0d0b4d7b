"""Blocks that compute their activations again in the backward pass (Chen et al. 2016)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


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
        hidden = hidden.detach().requires_grad_()
    made: Tensor = checkpoint(
        forward,
        hidden,
        *others,
        use_reentrant=True,
        preserve_rng_state=False,  # nothing is drawn
    )
    return made
