"""Rows that several ranks share: how a batch is cut, and how what they compute is exchanged.

All ranks of a row make the whole of a batch, which is a few integers a token, and each keeps its
part of it, see `dslm.model.sequence`: tokens and all that goes with them are cut evenly, and so are
labels, whose padding counts for nothing. What attention needs of whole rows stays whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.sequence import SequencePart
from dslm.objectives.batch import IGNORE, Batch, Value, each

WHOLE = ("visibility", "selected", DROPOUT_KEYS)
"""The extras that every rank of a row has whole."""


class SharedRows:
    """The rows that this rank computes together with others.

    Args:
        group: these ranks, in the order of their tokens.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        rank, size = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)
        self.part = SequencePart(rank, size, partial(exchanged, group=group))

    def whole(self, value: Value) -> Value:
        """Outputs or labels [B, M, …] of whole rows, of these ranks' parts; all must call it."""

        def gathered(own: Tensor) -> Tensor:
            pieces = [torch.empty_like(own) for _ in range(self.part.size)]
            torch.distributed.all_gather(pieces, own.contiguous(), group=self.group)
            return torch.cat(pieces, 1)

        return each(value, gathered)


def own_part(batch: Batch, extras: Sequence[str], part: SequencePart) -> Batch:
    """A rank's part of a batch, whose rows are padded to a length that can be cut evenly.

    Of selected positions each rank scores as many, and has their labels; -1 fills them up. A label
    of a whole row is the first rank's, as the first position is.

    Args:
        batch: of whole rows.
        extras: what its inputs are called but for the token ids.
        part: which part.
    """
    inputs, labels = batch
    names = iter(("ids", *extras, DROPOUT_KEYS))

    def own_input(tensor: Tensor) -> Tensor:
        name = next(names)
        tensor = _padded(tensor, part.size, -1 if name == "selected" else 0)
        return tensor if name in WHOLE else part.own(tensor).contiguous()

    def own_label(tensor: Tensor) -> Tensor:
        if tensor.dim() > 1:
            return part.own(_padded(tensor, part.size, IGNORE)).contiguous()
        return tensor if part.rank == 0 else torch.full_like(tensor, IGNORE)

    return each(inputs, own_input), each(labels, own_label)


def _padded(tensor: Tensor, size: int, value: int) -> Tensor:
    """A tensor [B, L, …] with an L that `size` divides; one [B] as it is."""
    missing = -tensor.shape[1] % size if tensor.dim() > 1 else 0
    if not missing:
        return tensor
    more = tensor.new_full((tensor.shape[0], missing, *tensor.shape[2:]), value)
    return torch.cat([tensor, more], 1)


def exchanged(pieces: Tensor, group: Any) -> Tensor:
    """The pieces that the ranks of a group gave to this one, for its pieces [N, …] to them."""
    made: Tensor = _AllToAll.apply(pieces, group)  # type: ignore[no-untyped-call]
    return made


class _AllToAll(torch.autograd.Function):
    """An all-to-all of equal pieces, whose gradient goes the same way back."""

    @staticmethod
    def forward(ctx: Any, pieces: Tensor, group: Any) -> Tensor:
        ctx.group = group
        received = torch.empty_like(pieces)
        torch.distributed.all_to_all_single(received, pieces, group=group)
        return received

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return exchanged(gradients[0].contiguous(), ctx.group), None
