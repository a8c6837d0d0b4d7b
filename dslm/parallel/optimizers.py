"""The groups in which an optimizer gets the weights of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def parameter_groups(module: nn.Module, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The weights in two groups where they decay: matrices, which do, and vectors, which do not."""
    decay = config["optimizer"].get("params", {}).get("weight_decay", 0.0)
    if not decay:
        return [{"params": list(module.parameters())}]
    matrices = [p for p in module.parameters() if _dimensions(p) >= 2]
    vectors = [p for p in module.parameters() if _dimensions(p) < 2]
    return [
        {"params": group, "weight_decay": rate}
        for group, rate in ((matrices, decay), (vectors, 0.0))
        if group
    ]


def _dimensions(parameter: nn.Parameter) -> int:
    """The number of axes; under ZeRO-3 the weight itself is empty between its uses."""
    shape: Sequence[int] = getattr(parameter, "ds_shape", parameter.shape)
    return len(shape)
