"""What each optimizer of DeepSpeed's JSON keeps for a weight, whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

ADAM = ("exp_avg", "exp_avg_sq")


def moments(optimizer: Mapping[str, Any], is_matrix: bool) -> tuple[str, ...]:
    """The names of the tensors, of the weight's own shape, that an optimizer keeps.

    Args:
        optimizer: the ``optimizer`` block of DeepSpeed's JSON.
        is_matrix: whether the weight is one that Muon orthogonalizes.
    """
    name, params = optimizer["type"].lower(), optimizer.get("params", {})
    momentum = ("momentum_buffer",) if params.get("momentum") else ()
    kept = {
        "adam": ADAM,
        "adamw": ADAM,
        "lamb": ADAM,
        "lion": ("exp_avg",),
        "muon": ("momentum_buffer",) if is_matrix else ADAM,
        "adagrad": ("sum",),
        "sgd": momentum,
        "rmsprop": ("square_avg", *momentum, *(("grad_avg",) if params.get("centered") else ())),
    }[name]
    return (*kept, "max_exp_avg_sq") if params.get("amsgrad") else kept


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
