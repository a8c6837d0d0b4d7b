"""What each optimizer of DeepSpeed's JSON keeps for a weight, whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
