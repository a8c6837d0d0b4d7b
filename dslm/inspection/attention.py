"""What each token attends to, taken from the model's own attention; and what flows through layers.

Attention is linear in the values: with the identity in their place it returns its weights. So the
weights are computed by the very function that the model calls, with its queries, keys and mask, and
no second definition can differ from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Attention:
    """What the heads of the layers of one stack look at."""

    name: str
    """Whose it is; empty where there is no other."""
    rows: list[str]
    """[R], the tokens that look."""
    columns: list[str]
    """[C], the tokens that they look at."""
    weights: Tensor
    """[L, H, R, C]."""
    causal: bool
    """Whether a token sees only those up to itself."""
    rollout: Tensor | None
    """[L, R, C]; `None` where the rows are not the columns."""


def attention_of(
    found: Sequence[Tensor], encoder: int, causal: bool, tokens: list[str], source: list[str]
) -> tuple[Attention, ...]:
    """The attention of each stack, and of a second one to the first.

    Args:
        found: [1, H, R, C] each, in the order in which they were computed.
        encoder: layers of the first of two stacks; 0 = there is one.
        causal: whether one stack sees only what comes before.
        tokens: [R] of the last stack.
        source: [T] of the first of two.
    """
    whole = [weights.float().cpu() for weights in found]
    if not encoder:
        weights = torch.cat(whole)
        return (Attention("", tokens, tokens, weights, causal, rollout(weights)),)
    first, own, across = (
        torch.cat(part) for part in (whole[:encoder], whole[encoder::2], whole[encoder + 1 :: 2])
    )
    return (
        Attention("from target to source", tokens, source, across, False, None),
        Attention("within the target", tokens, tokens, own, True, rollout(own)),
        Attention("within the source", source, source, first, False, rollout(first)),
    )


class AttentionWeights(TorchFunctionMode):
    """While it is entered, keeps the weights of every attention that is computed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []
        """[B, H, S, T] each."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call what is called, and attention once more with the identity as values."""
        named = kwargs or {}
        if function is F.scaled_dot_product_attention:
            queries, keys, values, *more = args
            each = torch.eye(keys.shape[2], dtype=values.dtype, device=values.device)
            identity = each.expand(*keys.shape[:2], -1, -1)
            self.found.append(function(queries, keys, identity, *more, **named))
        return function(*args, **named)


def rollout(weights: Tensor) -> Tensor:
    """How much of each token reaches each place, through all layers up to each one.

    Attention rollout (Abnar & Zuidema 2020, section 3): the mean over the heads, half of it for the
    residual stream, multiplied from layer to layer.

    Args:
        weights: [L, H, S, S], of self-attention.

    Returns:
        [L, S, S]; rows sum to one.
    """
    mixed = (weights.mean(1) + torch.eye(weights.shape[-1], device=weights.device)) / 2
    reached = [mixed[0]]
    for layer in mixed[1:]:
        reached.append(layer @ reached[-1])
    return torch.stack(reached)
