"""Sequence parallelism: N ranks compute different tokens of the same rows.

Everything but attention treats each token by itself, so each rank holds S / N consecutive tokens of
every row. For attention an all-to-all gives each rank whole rows of H / N of the heads, and another
one gives its tokens back to it (DeepSpeed-Ulysses, Jacobs et al. 2023). What says who sees whom
stays whole on every rank: it is one number a token.

Where only M selected positions of a row are wanted, the n-th rank gets the n-th M / N of them from
the last block on, wherever their tokens were: so all have as much to do, whatever was selected.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class SequencePart:
    """Which tokens a rank computes, and how it reaches the others of the same rows."""

    rank: int
    size: int
    """How many ranks share a row (N)."""
    exchange: Callable[[Tensor], Tensor]
    """Gives the n-th of [N, …] to the n-th of these ranks, and returns what they gave to this one,
    in their order; with a gradient."""

    def own(self, whole: Tensor, axis: int = 1) -> Tensor:
        """This rank's part of a tensor that all have, cut evenly along an axis."""
        return whole.tensor_split(self.size, axis)[self.rank]

    def heads(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Whole rows of this rank's heads, of all heads of this rank's tokens.

        Args:
            tensors: [B, H, S/N, E], each with a number of heads of its own; of those that N does
                not divide, each is repeated for the queries of several ranks.

        Returns:
            [B, H/N, S, E] of each.
        """
        pieces = []
        for tensor in tensors:
            times = self.size // math.gcd(self.size, tensor.shape[1])
            heads = tensor.repeat_interleave(times, 1) if times > 1 else tensor
            pieces.append(torch.unflatten(heads, 1, (self.size, -1)).movedim(1, 0))
        counts = [piece.shape[2] for piece in pieces]
        rows = self.exchange(torch.cat(pieces, 2))  # [N, B, heads, S/N, E]
        return torch.split(rows.movedim(0, 2).flatten(2, 3), counts, 1)

    def tokens(self, rows: Tensor) -> Tensor:
        """All heads of this rank's tokens [B, H, M/N, E], of this rank's heads [B, H/N, M, E]."""
        pieces = torch.unflatten(rows, 2, (self.size, -1)).movedim(2, 0)
        return self.exchange(pieces.contiguous()).movedim(0, 1).flatten(1, 2)

    def total(self, own: Tensor) -> Tensor:
        """The sum of what these ranks have, on each of them; without a gradient."""
        copies = own.detach().expand(self.size, *own.shape)
        return self.exchange(copies.contiguous()).sum(0)

    def select(self, hidden: Tensor, selected: Tensor) -> Tensor:
        """The vectors [B, M/N, D] at this rank's part of some positions [B, M] of whole rows.

        Each rank looks up N-ths of the vectors of all positions, as if these were heads.

        Args:
            hidden: [B, S/N, D], of this rank's tokens.
            selected: [B, M].
        """
        (rows,) = self.heads(torch.unflatten(hidden, 2, (self.size, -1)).transpose(1, 2))
        found = rows.take_along_dim(selected[:, None, :, None], dim=2)
        return self.tokens(found).transpose(1, 2).flatten(2)


def first_of(part: SequencePart | None, count: int) -> int:
    """The first of a rank's tokens (or heads) in whole rows, of which it has `count`."""
    return 0 if part is None else part.rank * count


def share_rows(model: nn.Module, part: SequencePart) -> None:
    """Let the modules of a model know that their inputs are parts of rows."""
    module: Any
    for module in model.modules():
        if hasattr(type(module), "sequence_part"):
            module.sequence_part = part
