"""Values that go from rank to rank while several of them use one model together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, distributed

from dslm.environment import World
from dslm.model.stages import Value
from dslm.parallel.world import device

DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.int64, torch.int32, torch.bool)
"""Of the tensors that go between layers."""
NUMBERS = 64
"""That describe a value, at most."""
NOTHING, ALONE = -1, -2
"""What stands for a tensor that is not there, and how a value begins that is no tuple."""

Move = Callable[[Tensor], Any]


def send(world: World, value: Value, rank: int) -> None:
    """Give a value to another rank, which calls `receive`."""
    _give(world, value, lambda tensor: distributed.send(tensor, rank))


def receive(world: World, rank: int) -> Value:
    """The value that another rank sends to this one."""
    return _take(world, lambda tensor: distributed.recv(tensor, rank))


def from_rank(world: World, value: Value | None, rank: int) -> Value:
    """The value of one rank, on all of them; every rank must call it."""

    def move(tensor: Tensor) -> None:
        distributed.broadcast(tensor, rank)

    if world.rank == rank:
        assert value is not None
        _give(world, value, move)
        return value
    return _take(world, move)


def _give(world: World, value: Value, move: Move) -> None:
    parts = cast("tuple[Tensor | None, ...]", value if isinstance(value, tuple) else (value,))
    numbers = [len(parts) if isinstance(value, tuple) else ALONE]
    for part in parts:
        if part is None:
            numbers.append(NOTHING)
        else:
            numbers += [DTYPES.index(part.dtype), part.ndim, *part.shape]
    header = torch.zeros(NUMBERS, dtype=torch.int64)
    header[: len(numbers)] = torch.tensor(numbers)
    move(header.to(device(world)))
    for part in parts:
        if part is not None and part.numel():
            move(part.detach().contiguous().reshape(-1).view(torch.uint8))


def _take(world: World, move: Move) -> Value:
    header = torch.zeros(NUMBERS, dtype=torch.int64, device=device(world))
    move(header)
    count, *numbers = header.tolist()
    parts = list[Tensor | None]()
    for _ in range(1 if count == ALONE else count):
        kind = numbers.pop(0)
        if kind == NOTHING:
            parts.append(None)
            continue
        shape = [numbers.pop(0) for _ in range(numbers.pop(0))]
        part = torch.empty(shape, dtype=DTYPES[kind], device=device(world))
        if part.numel():
            move(part.reshape(-1).view(torch.uint8))
        parts.append(part)
    return tuple(parts) if count != ALONE else cast(Tensor, parts[0])
