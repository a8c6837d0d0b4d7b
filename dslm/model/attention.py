"""Causal self-attention with grouped key/value heads and an optional cache for generation.

A value's way: hidden → one projection to queries, keys and values → positions (rotary) → cache →
scaled dot-product attention → output projection.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.layers import Linear
from dslm.model.positions import rotary, rotate


class Cache:
    """Keys and values of the tokens a layer has seen, so that generation reads each token once.

    Args:
        config: the model's shape.
        batch: number of sequences.
        capacity: how many tokens it can hold.
        like: a tensor whose dtype and device it takes.
    """

    def __init__(self, config: ModelConfig, batch: int, capacity: int, like: Tensor) -> None:
        shape = (batch, config.query_groups, capacity, config.head_width)
        self.keys = like.new_empty(shape)
        self.values = like.new_empty(shape)
        self.length = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add new tokens' keys and values [B, K, S, E]; return those of all tokens so far."""
        start, self.length = self.length, self.length + keys.shape[2]
        self.keys[:, :, start : self.length] = keys
        self.values[:, :, start : self.length] = values
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Attention(nn.Module):
    """Multi-head causal attention (Vaswani et al. 2017), grouped queries (Ainslie et al. 2023)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        groups = config.query_groups * config.head_width
        self.widths = (config.width, groups, groups)
        self.project = Linear(config.width, sum(self.widths), config.bias, config.initialization)
        residual = config.initialization / math.sqrt(2 * config.layers)
        self.output = Linear(config.width, config.width, config.bias, residual)

    def forward(self, hidden: Tensor, cache: Cache | None = None) -> Tensor:
        """Let each token attend to itself and all before it.

        Args:
            hidden: [B, S, D].
            cache: holds earlier tokens when generating; `hidden` then follows them.

        Returns:
            [B, S, D].
        """
        queries, keys, values = (
            part.unflatten(-1, (-1, self.config.head_width)).transpose(1, 2)
            for part in self.project(hidden).split(self.widths, dim=-1)
        )  # [B, H, S, E], [B, K, S, E] twice
        start = cache.length if cache is not None else 0
        if self.config.positions == "rotary":
            queries, keys = self._rotate(queries, start), self._rotate(keys, start)
        if cache is not None:
            keys, values = cache.append(keys, values)
        mixed = F.scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=_mask(queries, keys) if start else None,
            is_causal=start == 0,
            dropout_p=self.config.dropout if self.training else 0.0,
            enable_gqa=self.config.query_groups != self.config.heads,
        )
        output: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return output

    def _rotate(self, heads: Tensor, start: int) -> Tensor:
        config = self.config
        cosines, sines = rotary(
            config.sequence, config.head_width, config.rotary_base, heads.device
        )
        stop = start + heads.shape[2]
        return rotate(heads, cosines[start:stop], sines[start:stop])


def _mask(queries: Tensor, keys: Tensor) -> Tensor:
    """[S, T] boolean: new token s, at place T - S + s, sees the places up to its own."""
    new, total = queries.shape[2], keys.shape[2]
    return torch.ones(new, total, dtype=torch.bool, device=keys.device).tril(total - new)
