"""One block: attention and feed-forward, each with its normalization and residual sum."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dslm.model.attention import Attention, Cache
from dslm.model.config import ModelConfig
from dslm.model.dropout import Dropout, Site
from dslm.model.layers import Linear, norm, select
from dslm.model.visibility import Visibility


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
        self.attention_dropout = Dropout(config.dropout, Site.MIXED)
        self.feed_forward_dropout = Dropout(config.dropout, Site.FEED_FORWARD)
        self.attention_norm, self.attention = norm(config), Attention(config)
        self.feed_forward_norm, self.feed_forward = norm(config), FeedForward(config)

    def forward(
        self,
        hidden: Tensor,
        visibility: Visibility | None = None,
        position_ids: Tensor | None = None,
        selected: Tensor | None = None,
        dropout_keys: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D] or [B, M, D]; the arguments are those of `Attention`."""
        if self.recompute and self.training:
            # Re-entrant, because ZeRO-3 frees gathered weights between the two passes, which the
            # other kind mistakes for activations that changed their shape.
            recomputed: Tensor = checkpoint(
                self._forward,
                hidden,
                visibility,
                position_ids,
                selected,
                dropout_keys,
                use_reentrant=True,
                preserve_rng_state=False,  # nothing is drawn
            )
            return recomputed
        return self._forward(hidden, visibility, position_ids, selected, dropout_keys, cache)

    def _forward(
        self,
        hidden: Tensor,
        visibility: Visibility | None,
        position_ids: Tensor | None,
        selected: Tensor | None,
        dropout_keys: Tensor | None,
        cache: Cache | None = None,
    ) -> Tensor:
        normed = self.attention_norm(hidden) if self.pre else hidden
        mixed = self.attention(normed, visibility, position_ids, selected, dropout_keys, cache)
        hidden = select(hidden, selected) + self.attention_dropout(mixed, dropout_keys, selected)
        if not self.pre:
            hidden = self.attention_norm(hidden)
        change = self.feed_forward(self.feed_forward_norm(hidden) if self.pre else hidden)
        hidden = hidden + self.feed_forward_dropout(change, dropout_keys, selected)
        return hidden if self.pre else self.feed_forward_norm(hidden)
