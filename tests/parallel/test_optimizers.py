from __future__ import annotations

from typing import Any

import pytest
import torch

from dslm.parallel.deepspeed_json.optimizer import OPTIMIZERS, moments, named

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


def kept(name: str, is_matrix: bool = True, **params: Any) -> tuple[str, ...]:
    return moments({"optimizer": {"type": name, "params": params}}, is_matrix)


@pytest.mark.parametrize(("name", "params"), IN_TORCH)
def test_the_moments_are_those_that_torch_keeps(name: str, params: dict[str, Any]) -> None:
    weight = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = getattr(torch.optim, name)([weight], lr=0.1, **params)
    weight.sum().backward()
    optimizer.step()
    state = optimizer.state[weight]
    tensors = {key for key in state if torch.is_tensor(state[key]) and state[key].shape == (3, 2)}
    assert set(kept(name, **params, torch_adam=True)) == tensors


def test_muon_keeps_adams_moments_for_what_is_no_matrix() -> None:
    assert kept("Muon", muon_lr=0.02, momentum=0.9) == ("momentum_buffer",)
    assert kept("Muon", is_matrix=False, muon_lr=0.02) == ("exp_avg", "exp_avg_sq")


def test_an_offloaded_optimizer_keeps_what_deepspeeds_own_class_keeps() -> None:
    zero = {"stage": 1, "offload_optimizer": {"device": "cpu"}}
    adam = {"type": "AdamW", "params": {"amsgrad": True}}
    for optimizer, names in (
        (adam, ("exp_avg", "exp_avg_sq")),
        ({"type": "Adagrad"}, ("exp_avg_sq",)),
    ):
        assert moments({"optimizer": optimizer, "zero_optimization": zero}, True) == names


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_spelling_that_passes_the_check_is_known(name: str) -> None:
    for spelling in filter(named, (name, name.lower(), name.upper())):
        assert kept(spelling) == kept(name)
