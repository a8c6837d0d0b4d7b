"""No update is made of numbers that are not finite: the same decision on all ranks, before it.

A loss that is not finite makes its gradient so (`spoil_gradient`); the gradient's norm, which all
ranks have in common, is then not finite either, and for such a norm DeepSpeed leaves out the step:
the weights, the moments and the count of steps stay as they are. Where it makes every step, it is
stopped here (`veto_bad_steps`). At ZeRO-0 in float32 torch's fused Adam is told on the device, and
the host waits for nothing; other optimizers wait there for the norm, as DeepSpeed does everywhere
else before a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor


def spoil_gradient(loss: Tensor, highest: Tensor | None = None) -> None:
    """Make the gradient of a loss that is not finite nan, without waiting for the device.

    Args:
        loss: of a micro-batch.
        highest: something else that must be finite, if there is.
    """
    if loss.requires_grad:
        known = loss.detach() if highest is None else loss.detach() + highest
        factor = torch.where(known.isfinite(), 1.0, math.nan)
        loss.register_hook(lambda gradient: gradient * factor)  # type: ignore[no-untyped-call]


def veto_bad_steps(optimizer: Any, norm: Callable[[], Tensor]) -> None:
    """Leave out the steps of a gradient that is not finite, where DeepSpeed would make them.

    Args:
        optimizer: that of DeepSpeed's engine.
        norm: measures the gradient's norm, where DeepSpeed does not.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        _veto_plain(optimizer, norm)
    elif hasattr(optimizer, "check_grad_overflow"):  # ZeRO-1 and 2
        check = optimizer.dtype == torch.bfloat16
        optimizer.check_grad_overflow = optimizer.check_grad_overflow or check
    elif getattr(optimizer, "use_muon", False):
        _check_before_muon(optimizer)


def _veto_plain(optimizer: Any, norm: Callable[[], Tensor]) -> None:
    """At ZeRO-0 in float32 DeepSpeed's optimizer is torch's own, which asks for nothing."""
    step = optimizer.step
    optimizer.overflow = False  # the name that DeepSpeed's optimizers have for it

    @wraps(step)
    def step_if_finite(*arguments: Any, **more: Any) -> Any:
        optimizer.overflow = not bool(norm().isfinite())
        return None if optimizer.overflow else step(*arguments, **more)

    @wraps(step)
    def step_on_device(*arguments: Any, **more: Any) -> Any:
        """As torch's `GradScaler` does it, which may have found something itself."""
        found, bad = getattr(optimizer, "found_inf", None), (~norm().isfinite()).float()
        optimizer.found_inf = bad if found is None else torch.maximum(bad, found)
        try:
            return step(*arguments, **more)
        finally:
            optimizer.found_inf = found

    # Fused SGD would leave the momentum that a first step makes as the memory was.
    fused = isinstance(optimizer, torch.optim.Adam) and optimizer.defaults.get("fused")
    optimizer.step = step_on_device if fused else step_if_finite


def _check_before_muon(optimizer: Any) -> None:
    """At ZeRO-3 Muon's momentum takes in the gradient before its norm is looked at."""
    look = optimizer._overflow_check_and_loss_scale_update

    def look_first(update_scale: bool = True) -> Any:
        found = look(update_scale=update_scale)
        if not update_scale:
            optimizer.check_overflow()
            found = optimizer.overflow
        return found

    optimizer._overflow_check_and_loss_scale_update = look_first
