"""Threads in place of the ranks that share rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor

from dslm.model.sequence import SequencePart

Made = TypeVar("Made")


class Exchange:
    """An all-to-all between threads."""

    def __init__(self, size: int) -> None:
        self.barrier = Barrier(size, timeout=60)
        self.given: list[Tensor] = [torch.empty(0)] * size

    def move(self, rank: int, pieces: Tensor) -> Tensor:
        """What the others give to this one."""
        assert len(pieces) == len(self.given)
        self.given[rank] = pieces
        self.barrier.wait()
        received = torch.stack([one[rank] for one in self.given])
        self.barrier.wait()
        return received


class _Moved(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pieces: Tensor, exchange: Exchange, rank: int) -> Tensor:
        ctx.exchange, ctx.rank = exchange, rank
        return exchange.move(rank, pieces)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.exchange.move(ctx.rank, gradients[0]), None, None


def on_ranks(size: int, work: Callable[[SequencePart], Made]) -> list[Made]:
    """What each of some ranks makes, which share rows."""
    exchange = Exchange(size)

    def moved(pieces: Tensor, rank: int) -> Tensor:
        received: Tensor = _Moved.apply(pieces, exchange, rank)
        return received

    def one(rank: int) -> Made:
        try:
            return work(SequencePart(rank, size, partial(moved, rank=rank)))
        except BaseException:
            exchange.barrier.abort()  # the others would wait for it
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(one, rank) for rank in range(size)]
        broken = [future.exception() for future in futures]
        for error in broken:
            if error is not None and "Barrier" not in type(error).__name__:
                raise error
        return [future.result() for future in futures]
