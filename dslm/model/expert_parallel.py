"""Experts that several ranks share (Lepikhin et al. 2020, "GShard"): each holds some of them.

The ranks are replicas, each with rows of its own. Tokens travel to the rank that has the expert
they have chosen, and what it makes of them travels back. All else of a model is on every rank.

A model is built within `experts_among`; outside of it a rank has all experts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dslm.model.tensor_parallel import TensorAxis

Compute = Callable[[Tensor, Tensor], Tensor]
"""From tokens [N, D], those of the first expert first, and how many each has, to [N, D]."""


@dataclass(frozen=True)
class ExpertAxis(TensorAxis):
    """The ranks that share the experts, and this one among them."""

    def exchanged(self, tokens: Tensor, counts: Tensor, compute: Compute) -> Tensor:
        """What the experts of all ranks make of this rank's tokens; all ranks must call it.

        The sizes of what is sent must be known to the host, which waits for them once.

        Args:
            tokens: [N, D], those of the first expert first.
            counts: [experts], how many each has.
            compute: what this rank's experts do.

        Returns:
            [N, D], in the order of `tokens`.
        """
        if self.size == 1:
            return compute(tokens, counts)
        mine = counts.view(self.size, -1)  # by the rank that has them
        theirs = torch.empty_like(mine)  # of this rank's experts, by the rank that sends them
        torch.distributed.all_to_all_single(theirs, mine, group=self.group)
        sent, received = torch.stack([mine.sum(1), theirs.sum(1)]).tolist()
        came = _moved(tokens, sent, received, self.group)
        numbers = torch.arange(mine.shape[1], device=tokens.device).repeat(self.size)
        expert = numbers.repeat_interleave(theirs.flatten(), output_size=len(came))
        order = expert.argsort(stable=True)
        made = compute(came.index_select(0, order), theirs.sum(0))
        return _moved(made.index_select(0, inverse(order)), received, sent, self.group)


ALONE = ExpertAxis()
_AXIS = ContextVar("expert axis", default=ALONE)


def expert_axis() -> ExpertAxis:
    """The ranks that share the experts of what is being built."""
    return _AXIS.get()


@contextmanager
def experts_among(axis: ExpertAxis) -> Iterator[None]:
    """Within it, layers are built whose experts the ranks of an axis share."""
    token = _AXIS.set(axis)
    try:
        yield
    finally:
        _AXIS.reset(token)


def inverse(order: Tensor) -> Tensor:
    """The permutation that undoes another."""
    places = torch.arange(len(order), device=order.device)
    return torch.empty_like(order).scatter_(0, order, places)


def _moved(tokens: Tensor, sent: Sequence[int], received: Sequence[int], group: Any) -> Tensor:
    moved: Tensor = _Moved.apply(tokens, sent, received, group)  # type: ignore[no-untyped-call]
    return moved


class _Moved(torch.autograd.Function):
    """Rows sent from every rank to every other one; their gradients go the other way."""

    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, sent: Sequence[int], received: Sequence[int], group: Any
    ) -> Tensor:
        ctx.way = received, sent, group
        return _exchange(tokens, sent, received, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        return _exchange(gradients[0], *ctx.way), None, None, None


def _exchange(tokens: Tensor, sent: Sequence[int], received: Sequence[int], group: Any) -> Tensor:
    came = tokens.new_empty(sum(received), *tokens.shape[1:])
    sizes = list(received), list(sent)
    torch.distributed.all_to_all_single(came, tokens.contiguous(), *sizes, group=group)
    return came
