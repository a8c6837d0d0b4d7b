"""Muon's momentum under ZeRO-1 and 2, which DeepSpeed keeps unlike any other moment.

An update of Muon needs whole matrices, so a rank keeps the momentum of every matrix that its piece
of the weights touches, whole, one after the other in one flat buffer; a matrix cut by the border
between two ranks is on both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def momentum(optimizer: Any, parameter: nn.Parameter) -> Tensor | None:
    """This rank's copy of a matrix's momentum, to be read or written; `None` if it keeps none.

    Args:
        optimizer: DeepSpeed's ZeRO-1/2 optimizer around Muon.
        parameter: a matrix that Muon updates.
    """
    for group, kept in enumerate(optimizer.params_in_partition):
        start = 0
        for other in kept:
            if other is parameter:
                piece = optimizer.single_partition_of_fp32_groups[group]
                buffer: Tensor = optimizer.optimizer.state[piece]["momentum_buffer"]
                return buffer.narrow(0, start, other.numel()).view_as(other)
            start += other.numel()
    return None


def gather(optimizer: Any, parameter: nn.Parameter) -> Tensor:
    """The momentum of a matrix in float32 on every rank; all must call this."""
    own = momentum(optimizer, parameter)
    total = torch.zeros(parameter.numel() + 1, device=parameter.device)
    if own is not None:
        total[:-1], total[-1] = own.flatten(), 1.0
    torch.distributed.all_reduce(total, group=parameter._dp_group)  # type: ignore[attr-defined]
    return (total[:-1] / total[-1]).view_as(parameter)
