from __future__ import annotations

from typing import Any

import pytest
import torch

from dslm.parallel.deepspeed_json.optimizer import OPTIMIZERS
from dslm.parallel.optimizers import moments

IN_TORCH: list[tuple[str, dict[str, Any]]] = [
    ("Adam", {}),
    ("AdamW", {}),
    ("AdamW", {"amsgrad": True}),
    ("Adagrad", {}),
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9}),
]


@pytest.mark.parametrize(("name", "params"), IN_TORCH)
def test_the_moments_are_those_that_torch_keeps(name: str, params: dict[str, Any]) -> None:
    weight = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, **params)
    weight.sum().backward()
    optimizer.step()
    state = optimizer.state[weight]
    kept = {key for key in state if torch.is_tensor(state[key]) and state[key].shape == (3, 2)}
    assert set(moments({"type": name, "params": params}, is_matrix=True)) == kept


def test_muon_keeps_adams_moments_for_what_is_no_matrix() -> None:
    muon = {"type": "Muon", "params": {"muon_lr": 0.02}}
    assert moments(muon, is_matrix=True) == ("momentum_buffer",)
    assert moments(muon, is_matrix=False) == ("exp_avg", "exp_avg_sq")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_that_passes_the_check_is_known(name: str) -> None:
    for spelling in (name, name.lower(), name.upper()):
        assert isinstance(moments({"type": spelling}, is_matrix=True), tuple)
