"""One block: attention, in a decoder also to the encoder's output, and feed-forward.

Each has its normalization and residual sum.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.attention import Attention, Cache
from dslm.model.config import ModelConfig
from dslm.model.cross_attention import CrossAttention
from dslm.model.dropout import Dropout, Site
from dslm.model.experts import Experts
from dslm.model.layers import norm, select
from dslm.model.recompute import recomputed, recomputed_selectively
from dslm.model.sequence import SequencePart
from dslm.model.tensor_parallel import ColumnLinear, RowLinear
from dslm.model.visibility import Visibility

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": torch.relu,
    "relu2": lambda inner: torch.relu(inner).square(),
    "swiglu": F.silu,
    "geglu": partial(F.gelu, approximate="tanh"),
}
"""The nonlinearity, or that of the gate, by `ModelConfig.activation`."""


class FeedForward(nn.Module):
    """Two linear maps with a nonlinearity between them, which may be a gate (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated, self.activation = config.gated, ACTIVATIONS[config.activation]
        parts = [config.inner_width] * (2 if self.gated else 1)
        self.enter = ColumnLinear(config.width, parts, config.bias, config.initialization)
        self.stacked = {"enter.weight": tuple(self.enter.widths)}
        deviation = config.output_deviation
        self.leave = RowLinear(config.inner_width, config.width, config.bias, deviation)

    def forward(self, hidden: Tensor, is_text: Tensor | None = None) -> Tensor:
        """Map [B, S, D] to [B, S, D], each token by itself; see `Experts.forward`."""
        inner = self.enter(hidden)
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            return self.leave(self.activation(gate) * inner)
        return self.leave(self.activation(inner))


def feed_forward(config: ModelConfig) -> FeedForward | Experts:
    """What a block computes of each token by itself."""
    if config.experts:
        return Experts(config, ACTIVATIONS[config.activation])
    return FeedForward(config)


class Block(nn.Module):
    """Attention, then feed-forward; in a decoder behind an encoder, cross-attention between them.

    Pre-norm as in Radford et al. 2019, post-norm as in Vaswani et al. 2017.
    """

    sequence_part: SequencePart | None = None
    """Of the rows, which tokens come in; `None` = all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.recompute = config.recompute
        self.attention_dropout = Dropout(config.dropout, Site.MIXED)
        self.feed_forward_dropout = Dropout(config.dropout, Site.FEED_FORWARD)
        self.attention_norm, self.attention = norm(config), Attention(config)
        self.feed_forward_norm, self.feed_forward = norm(config), feed_forward(config)
        self.crosses = config.encoder_layers > 0
        if self.crosses:
            self.cross_attention_norm, self.cross_attention = norm(config), CrossAttention(config)
            self.cross_dropout = Dropout(config.dropout, Site.CROSS_MIXED)

    def forward(
        self,
        hidden: Tensor,
        visibility: Visibility | None = None,
        position_ids: Tensor | None = None,
        selected: Tensor | None = None,
        dropout_keys: Tensor | None = None,
        relative: Tensor | None = None,
        memory: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D] or [B, M, D]; the arguments are those of `Attention`.

        Behind an encoder `memory` [B, T, D] is its output, and `visibility` that of the source; the
        block's own tokens then see those before them.
        """
        given = hidden, visibility, position_ids, selected, dropout_keys, relative, memory
        if self.recompute == "selective" and self.training:
            return recomputed_selectively(self._forward, *given)
        if self.recompute and self.training:
            return recomputed(self, self._forward, *given)
        return self._forward(*given, cache)

    def _forward(
        self,
        hidden: Tensor,
        visibility: Visibility | None,
        position_ids: Tensor | None,
        selected: Tensor | None,
        dropout_keys: Tensor | None,
        relative: Tensor | None,
        memory: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        part, is_text = self.sequence_part, None
        if part is not None and selected is not None:  # negative ones fill it up
            is_text, selected = part.own(selected) >= 0, selected.clamp(min=0)
        normed = self.attention_norm(hidden) if self.pre else hidden
        own = None if self.crosses else visibility
        mixed = self.attention(normed, own, position_ids, selected, dropout_keys, relative, cache)
        if part is not None and selected is not None:
            hidden, selected = part.select(hidden, selected), part.own(selected)
        else:
            hidden = select(hidden, selected)
        hidden = hidden + self.attention_dropout(mixed, dropout_keys, selected)
        if not self.pre:
            hidden = self.attention_norm(hidden)
        if self.crosses:
            hidden = self._cross(hidden, memory, visibility, dropout_keys, cache)
        normed = self.feed_forward_norm(hidden) if self.pre else hidden
        if own is not None and selected is None:
            numbers = own.numbers if part is None else part.own(own.numbers)
            is_text = numbers != 0
        change = self.feed_forward(normed, is_text)
        hidden = hidden + self.feed_forward_dropout(change, dropout_keys, selected)
        return hidden if self.pre else self.feed_forward_norm(hidden)

    def _cross(
        self,
        hidden: Tensor,
        memory: Tensor | None,
        visibility: Visibility | None,
        dropout_keys: Tensor | None,
        cache: Cache | None,
    ) -> Tensor:
        source = None if cache is None else cache.source
        if source is None:
            assert memory is not None, "a decoder's block needs the encoder's output"
            numbers = None if visibility is None else visibility.numbers
            source = self.cross_attention.read(memory, numbers)
        if cache is not None:
            cache.source = source
        normed = self.cross_attention_norm(hidden) if self.pre else hidden
        mixed = self.cross_attention(normed, source, dropout_keys)
        hidden = hidden + self.cross_dropout(mixed, dropout_keys)
        return hidden if self.pre else self.cross_attention_norm(hidden)
