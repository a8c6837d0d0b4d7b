"""The bytes that a rank keeps of each parameter: the first lines of any estimate of memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dslm.parallel.deepspeed_json.optimizer import moments, offloaded
from dslm.parallel.deepspeed_json.precision import (
    master_size,
    moment_size,
    sum_size,
    weight_size,
)
from dslm.parallel.plan import Plan


@dataclass(frozen=True)
class ParameterBytes:
    """Bytes of a parameter, before they are divided among the replicas."""

    weights: int
    """What the forward pass reads."""
    gradients: int
    """As micro-batches add them up."""
    master: int
    """What the optimizer updates, where that is not the weight itself."""
    moments: int
    """What the optimizer keeps (for a matrix, where that differs)."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.master + self.moments


def parameter_bytes(config: Mapping[str, Any], zero_stage: int) -> ParameterBytes:
    """Count them.

    Args:
        config: DeepSpeed's JSON, checked.
        zero_stage: 0 … 3; without ZeRO the weights are their own masters.
    """
    return ParameterBytes(
        weight_size(config),
        sum_size(config),
        master_size(config) if zero_stage else 0,
        moment_size(config) * len(moments(config, is_matrix=True)),
    )


def parameter_bytes_line(config: Mapping[str, Any], plan: Plan) -> str:
    """A line for people: the bytes, which of them are divided, and which are not on the device."""
    each = parameter_bytes(config, plan.zero_stage)
    text = (
        f"{each.total} a parameter: weights {each.weights}, gradients {each.gradients}, "
        f"master {each.master}, moments {each.moments}"
    )
    what = ("", "master and moments", "gradients, master and moments", "all")[plan.zero_stage]
    if what and plan.copies > 1:
        text += f" · {what} divided by {plan.copies} ranks"
    if offloaded(config, "offload_optimizer") != "none":
        text += " · master and moments offloaded"
    return text
