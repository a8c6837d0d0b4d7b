"""Weights that learn nothing: no optimizer knows them, so that there is no master of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def gathered(weight: nn.Parameter) -> Any:
    """DeepSpeed's context in which a weight is whole on all ranks, whose first one may change it.

    All ranks must enter it.
    """
    from deepspeed import zero

    return zero.GatheredParameters([weight], modifier_rank=0, enabled=hasattr(weight, "ds_id"))


@torch.no_grad()
def whole(weight: nn.Parameter) -> Tensor:
    """A copy of a weight in float32; every rank that has it must call this."""
    with gathered(weight):
        return weight.detach().to(torch.float32, copy=True)
