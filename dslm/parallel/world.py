"""Joining the other ranks, exchanging values with them, and leaving."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from dslm.environment import (
    World,
    fill_environment,
    meeting_point,
    restarts,
    taken_port,
    threads_are_set,
)
from dslm.errors import Problem, SetupError
from dslm.parallel.late_compile import compile_late
from dslm.signals import CAUSES, REQUESTS, Stopped

if TYPE_CHECKING:
    from torch import Tensor
    from torch._C._distributed_c10d import Store

_STORES: dict[World, Store] = {}
"""Kept, since the first rank's answers all others for as long as they run."""


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
    compile_late()
    backend = "gloo" if world.cpu else "nccl"
    if not world.cpu:
        torch.cuda.set_device(world.local_rank)
    timeout = timedelta(minutes=minutes)
    if world.size > 1:  # where torchrun has started ranks anew, torch's own store is still the old
        torch.distributed.init_process_group(
            backend,
            store=meet(world, minutes),
            rank=world.rank,
            world_size=world.size,
            timeout=timeout,
        )
    deepspeed.init_distributed(backend, timeout=timeout, verbose=False)
    REQUESTS.joined()


def meet(world: World, minutes: float) -> Store:
    """Where ranks exchange values before they join; every rank must call it.

    Args:
        world: from `read_world`.
        minutes: how long a rank waits for the first one; the first call decides.

    Raises:
        SetupError: the port is in use, or the first rank cannot be reached.
    """
    if world in _STORES:
        return _STORES[world]
    fill_environment(world)
    from torch._C._distributed_c10d import PrefixStore
    from torch.distributed import DistError
    from torch.distributed.rendezvous import rendezvous

    timeout = timedelta(minutes=minutes)
    try:
        store, *_ = next(rendezvous("env://", world.rank, world.size, timeout=timeout))
    except (DistError, ValueError) as error:
        raise SetupError(_no_meeting(str(error), minutes)) from None
    return _STORES.setdefault(world, PrefixStore(f"dslm/{restarts()}", store))


def _no_meeting(reason: str, minutes: float) -> Problem:
    address, port = meeting_point()
    if "EADDRINUSE" in reason or "address already in use" in reason.lower():
        return taken_port(port)
    rule = f"the first rank was not reached at {address}:{port} within {minutes:g} minutes"
    fix = "check that its host is up and that no firewall keeps the hosts apart"
    first_line = (reason.strip().splitlines() or [""])[0]
    return Problem("MASTER_ADDR", address, f"{rule} ({first_line})", fix)


def limit_waits(minutes: float) -> None:
    """Let no collective of any process group wait longer than that.

    DeepSpeed makes groups of its own, with torch's default of 30 minutes; to be called once its
    engine is there. NCCL's groups are ended by torch's own thread for them.
    """
    from torch.distributed import distributed_c10d

    for group in distributed_c10d._world.pg_map:
        distributed_c10d._set_pg_timeout(timedelta(minutes=minutes), group)


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
