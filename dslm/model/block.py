"""One block: attention and feed-forward, each with its normalization and residual sum."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dslm.model.attention import Attention, Cache
from dslm.model.config import ModelConfig
from dslm.model.layers import Linear, norm, select


class FeedForward(nn.Module):
    """Two linear maps with a nonlinearity between them, gated for SwiGLU (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gated = config.activation == "swiglu"
        self.approximate = "tanh" if config.activation == "gelu_tanh" else "none"
        widened = config.inner_width * (2 if self.gated else 1)
        self.stacked = {"enter.weight": (config.inner_width,) * (widened // config.inner_width)}
        self.enter = Linear(config.width, widened, config.bias, config.initialization)
        residual = config.initialization / math.sqrt(2 * config.layers)
        self.leave = Linear(config.inner_width, config.width, config.bias, residual)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [B, S, D] to [B, S, D], each token by itself."""
        inner = self.enter(hidden)
        if self.gated:
            gate, inner = inner.chunk(2, dim=-1)
            inner = F.silu(gate) * inner
        else:
            inner = F.gelu(inner, approximate=self.approximate)
        return self.leave(inner)


class Block(nn.Module):
    """Attention, then feed-forward.

    Pre-norm as in Radford et al. 2019, post-norm as in Vaswani et al. 2017.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.recompute = config.recompute
        self.dropout = nn.Dropout(config.dropout)
        self.attention_norm, self.attention = norm(config), Attention(config)
        self.feed_forward_norm, self.feed_forward = norm(config), FeedForward(config)

    def forward(
        self,
        hidden: Tensor,
        visibility: Tensor | None = None,
        position_ids: Tensor | None = None,
        selected: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D] or [B, M, D]; the arguments are those of `Attention`."""
        if self.recompute and self.training:
            # Re-entrant, because ZeRO-3 frees gathered weights between the two passes, which the
            # other kind mistakes for activations that changed their shape.
            recomputed: Tensor = checkpoint(
                self._forward, hidden, visibility, position_ids, selected, use_reentrant=True
            )
            return recomputed
        return self._forward(hidden, visibility, position_ids, selected, cache)

    def _forward(
        self,
        hidden: Tensor,
        visibility: Tensor | None,
        position_ids: Tensor | None,
        selected: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        normed = self.attention_norm(hidden) if self.pre else hidden
        mixed = self.dropout(self.attention(normed, visibility, position_ids, selected, cache))
        hidden = select(hidden, selected) + mixed
        if self.pre:
            change: Tensor = self.dropout(self.feed_forward(self.feed_forward_norm(hidden)))
            return hidden + change
        hidden = self.attention_norm(hidden)
        result: Tensor = self.feed_forward_norm(hidden + self.dropout(self.feed_forward(hidden)))
        return result
