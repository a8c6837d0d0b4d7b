"""Muon treats each matrix of a model by itself, also those that one weight holds together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from deepspeed.runtime.zero.muon import muon_optimizer, original_muon
from helpers.models import build, small

from dslm.model.config import ModelConfig
from dslm.model.layers import stacked_rows
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from dslm.parallel.muon import check_matrices, orthogonalize_apart

LLAMA = ModelConfig(
    layers=1,
    width=32,
    heads=4,
    key_value_heads=2,
    sequence=16,
    vocabulary=50,
    activation="swiglu",
    feed_forward=48,
    positions="rotary",
    bias=False,
)
GPT2 = ModelConfig(layers=1, width=32, heads=4, sequence=16, vocabulary=50)
LSTM = ModelConfig(layers=1, width=32, block="lstm", heads=None, sequence=16, vocabulary=50)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> object:
    """DeepSpeed's own function, put back afterwards."""
    update = original_muon.muon_update
    monkeypatch.setattr(original_muon, "muon_update", update)
    monkeypatch.setattr(muon_optimizer, "muon_update", update)
    return update


@pytest.mark.parametrize(
    ("config", "rows"),
    [
        (LLAMA, {(64, 32): (32, 16, 16), (96, 32): (48, 48)}),
        (GPT2, {(96, 32): (32, 32, 32), (128, 32): (128,)}),
        (LSTM, {(128, 32): (32, 32, 32, 32)}),
    ],
    ids=["grouped queries and SwiGLU", "GPT-2", "LSTM"],
)
def test_the_matrices_of_a_weight_are_known(
    config: ModelConfig, rows: dict[tuple[int, int], tuple[int, ...]]
) -> None:
    model = Transformer(stages(config, 0))
    assert {tuple(weight.shape): parts for weight, parts in stacked_rows(model)} == rows


@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["Llama", "GPT-2"])
def test_queries_keys_and_values_are_updated_as_matrices_of_their_own(
    config: ModelConfig, whole: object
) -> None:
    orthogonalize_apart(Transformer(stages(config, 0)))
    orthogonalize_apart(Transformer(stages(config, 0)))  # a second model in one process
    attention, inner = config.group_width, config.inner_width
    gated = config.activation == "swiglu"
    for rows in ((32, attention, attention), (inner, inner) if gated else (inner,)):
        scales = torch.tensor([100.0, 1.0, 0.01])[: len(rows)]
        parts = [s * torch.randn(r, 32) for r, s in zip(rows, scales, strict=True)]
        momentum = torch.zeros(sum(rows), 32)
        update = original_muon.muon_update(torch.cat(parts), momentum, ns_method="standard")
        alone = [
            whole(part.clone(), torch.zeros_like(part), ns_method="standard")  # type: ignore[operator]
            for part in parts
        ]
        assert torch.equal(update, torch.cat(alone))
        assert torch.allclose(momentum, 0.05 * torch.cat(parts))


def test_a_gradient_that_overflowed_in_one_matrix_changes_no_momentum(whole: object) -> None:
    orthogonalize_apart(Transformer(stages(GPT2, 0)))
    gradient, momentum = torch.randn(96, 32), torch.randn(96, 32)
    gradient[0, 0] = torch.inf
    before = momentum.clone()
    update = original_muon.muon_update(gradient, momentum)
    assert torch.equal(momentum, before)
    assert not torch.isfinite(update).any()


def test_two_kinds_of_matrices_of_one_shape_are_refused() -> None:
    alike = ModelConfig(layers=1, width=32, heads=4, feed_forward=96, sequence=16)
    assert check_matrices("AdamW", alike) == []
    assert check_matrices("Muon", GPT2) == []
    (problem,) = check_matrices("Muon", alike)
    assert (problem.where, problem.found) == ("model.feed_forward", 96)
    assert "use 104" in problem.fix


@pytest.mark.parametrize("heads", [{}, {"key_value_heads": 2}, {"head_width": 12}])
@pytest.mark.parametrize("encoder", [0, 1])
@pytest.mark.parametrize("inner", [24, 32, 64, 96, 128])
@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
def test_a_shape_is_refused_if_and_only_if_it_means_two_things(
    heads: dict[str, int], encoder: int, inner: int, activation: Any
) -> None:
    config = small(
        layers=1, encoder_layers=encoder, feed_forward=inner, activation=activation, **heads
    )
    model = build(config)
    stacked = dict(stacked_rows(model))
    meanings: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and "embed" not in name:
            meanings.setdefault(tuple(weight.shape), set()).add(
                tuple(stacked.get(weight, (len(weight),)))
            )
    refused = bool(check_matrices("Muon", config))
    assert refused == any(len(rows) > 1 for rows in meanings.values())
