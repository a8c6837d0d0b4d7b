"""Relative positions: a number for each kind of distance and each head, added to attention scores.

Of T5 (Raffel et al. 2020, section 2.1). One table serves all blocks of a stack. It belongs to the
stage before them and travels to each, [buckets, H], with a gradient: far less than the numbers of
all pairs of tokens, and a pipeline need not tie it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from dslm.model.config import ModelConfig
from dslm.model.layers import Table


class RelativeTable(nn.Module):
    """The numbers of one stack."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = Table(config.relative_buckets, config.heads or 1, config.initialization)

    def forward(self) -> Tensor:
        """All of them, [buckets, H]; a copy, as ZeRO-3 has the weight only in here."""
        weight = self.embedding.weight
        table: Tensor = self.embedding(
            torch.arange(self.embedding.num_embeddings, device=weight.device)
        )
        return table


def relative_bias(
    config: ModelConfig, table: Tensor, total: int, places: Tensor | None = None
) -> Tensor:
    """What is added to the scores that some tokens give to all.

    Args:
        config: the shape of the stack.
        table: [buckets, H].
        total: how many tokens there are in a row (T).
        places: [B, S], which of them give the scores; all, the same in each row, without it.

    Returns:
        [B, H, S, T]; without places [1, H, T, T].
    """
    others = torch.arange(total, device=table.device)
    places = others[None] if places is None else places
    kinds = distance_kinds(
        config.sequence,
        config.relative_buckets,
        config.relative_distance,
        config.attention == "full",
        table.device,
    )
    return table[kinds[others - places[:, :, None] + config.sequence - 1]].permute(0, 3, 1, 2)


def distance_kinds(
    size: int, buckets: int, farthest: int, both_ways: bool, device: torch.device
) -> Tensor:
    """The kind of each distance, from a token size - 1 before to one size - 1 behind.

    The first half of the kinds is of one distance each, the other of ranges that grow by a constant
    factor up to `farthest`. To see both ways halves them: what comes later has kinds of its own.
    """
    return _kinds(size, buckets, farthest, both_ways, device)


@lru_cache(maxsize=16)
def _kinds(size: int, buckets: int, farthest: int, both_ways: bool, device: torch.device) -> Tensor:
    later = torch.arange(1 - size, size, device=device)
    kinds = torch.zeros_like(later)
    if both_ways:
        buckets //= 2
        kinds = (later > 0) * buckets
    distance = later.abs() if both_ways else (-later).clamp(min=0)
    exact = buckets // 2
    steps = (distance.clamp(min=1).float() / exact).log() / math.log(farthest / exact)
    far = (exact + (steps * (buckets - exact)).long()).clamp(max=buckets - 1)
    return kinds + torch.where(distance < exact, distance, far)
