"""Joining the other ranks, exchanging values with them, and leaving."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from dslm.environment import World, fill_environment, threads_are_set
from dslm.signals import CAUSES, REQUESTS, Stopped

if TYPE_CHECKING:
    from torch import Tensor


def join(world: World, minutes: float = 30.0) -> None:
    """Set up the process group, if it is not yet; afterwards `device` and collectives may be used.

    Args:
        world: from `read_world`.
        minutes: how long a rank waits for the others before it gives up.
    """
    import torch

    if torch.distributed.is_initialized():
        return
    fill_environment(world)
    if world.cpu and not threads_are_set():
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world.local_size))
    import deepspeed
    import deepspeed.ops

    # A shared-memory all-reduce that only CPU ranks use; it would be compiled for minutes first.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    backend = "gloo" if world.cpu else "nccl"
    if not world.cpu:
        torch.cuda.set_device(world.local_rank)
    deepspeed.init_distributed(backend, timeout=timedelta(minutes=minutes), verbose=False)
    REQUESTS.joined()


def any_rank(world: World, flags: Sequence[bool]) -> list[bool]:
    """For each of some flags whether it is set on some rank; every rank must call it."""
    if world.size == 1:
        return list(flags)
    import torch

    found = torch.tensor([*flags, False], dtype=torch.int32, device=device(world))
    torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
    return [bool(flag) for flag in found[:-1].tolist()]


def stop_if_asked(world: World) -> None:
    """Before a run makes its first step; every rank must call it.

    Raises:
        Stopped: some rank was asked to stop.
    """
    for cause, asked in zip(CAUSES, any_rank(world, REQUESTS.asked), strict=True):
        if asked:
            raise Stopped(cause)


def broadcast(world: World, number: int) -> int:
    """The first rank's number, on every rank."""
    if world.size == 1:
        return number
    import torch

    value = torch.tensor([number], device=device(world))
    torch.distributed.broadcast(value, 0)
    return int(value)


def broadcast_tensor(world: World, tensor: Tensor) -> Tensor:
    """The first rank's tensor, on the CPU of every rank.

    Args:
        world: from `read_world`.
        tensor: what to broadcast; on other ranks any of the same shape and dtype.
    """
    import torch

    value = tensor.to(device(world))
    torch.distributed.broadcast(value, 0)
    return value.cpu()


def shutdown() -> None:
    """Leave the process group, if it was joined; every rank must call it."""
    import torch

    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def device(world: World) -> str:
    """Torch's name of the device this rank computes on."""
    return "cpu" if world.cpu else f"cuda:{world.local_rank}"
