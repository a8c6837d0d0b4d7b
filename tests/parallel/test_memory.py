from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.models import GRU, KEYS, LSTM, build, small

from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.parallel.memory import Memory, estimate
from dslm.parallel.plan import Plan

MODEL = ModelConfig(layers=4, heads=4, width=64, sequence=32, vocabulary=100)
COUNT = parameter_count(MODEL)
ADAMW = {"type": "AdamW"}
BF16 = {"bf16": {"enabled": True}}
OFFLOADED = {"offload_optimizer": {"device": "cpu"}}


def held(
    stage: int = 0, world: int = 4, stages: int = 1, recompute: bool = False, **more: Any
) -> Memory:
    model = replace(MODEL, recompute=recompute)
    plan = Plan(world, stages, stage, micro_batch=2, accumulation=3, sequence=32)
    return estimate(model, plan, {"optimizer": ADAMW, **more})


def test_without_zero_a_rank_holds_sixteen_bytes_a_weight() -> None:
    memory = held(stage=0)
    assert memory.weights + memory.gradients + memory.optimizer == 16 * COUNT


def test_at_zero_3_each_rank_holds_its_share_of_everything() -> None:
    memory = held(stage=3, world=4)
    assert memory.weights + memory.gradients + memory.optimizer == 16 * COUNT / 4


def test_sixteen_bits_keep_a_master_copy_with_the_optimizer() -> None:
    memory = held(stage=2, world=1, **BF16)
    assert (memory.weights, memory.gradients, memory.optimizer) == (
        2 * COUNT,
        2 * COUNT,
        12 * COUNT,
    )


@pytest.mark.parametrize("config", [{}, BF16])
def test_a_higher_stage_never_holds_more(config: dict[str, Any]) -> None:
    sizes = [held(stage, **config).device for stage in range(4)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


def test_a_rank_holds_the_sum_of_its_parts() -> None:
    memory = Memory(1.0, 2.0, 3.0, 4.0, host=100.0)
    assert memory.device == 10.0


def test_what_is_offloaded_moves_to_the_host() -> None:
    before = held(stage=3)
    both = {**OFFLOADED, "offload_param": {"device": "cpu"}}
    after = held(stage=3, zero_optimization=both)
    assert (after.weights, after.optimizer) == (0.0, 0.0)
    assert after.host == before.weights + before.optimizer
    assert held(stage=3, zero_optimization={"offload_param": {"device": "none"}}) == before


def test_recomputing_keeps_fewer_activations() -> None:
    assert held(recompute=True).activations < held().activations / 2


def test_a_pipeline_stage_holds_its_layers_and_one_end() -> None:
    whole, half = held(world=4), held(world=4, stages=2)
    assert whole.weights / 2 < half.weights < whole.weights


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_a_recurrent_block_keeps_what_torch_keeps(kind: dict[str, Any]) -> None:
    config = small(**kind, width=128, layers=1, dropout=0.1)
    block = build(config).layers["2"].train()
    weights = {weight.untyped_storage().data_ptr() for weight in block.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        block(torch.randn(2, 32, 128, requires_grad=True), KEYS)
    seen = sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in weights)
    plan = Plan(1, 1, 0, micro_batch=2, accumulation=1, sequence=32)
    scores = 2 * 2 * 32 * config.size * 2
    estimated = estimate(config, plan, {"optimizer": ADAMW}).activations - scores
    assert estimated == pytest.approx(seen, rel=0.1)


def test_sgd_without_momentum_keeps_nothing() -> None:
    assert held(optimizer={"type": "SGD"}).optimizer == 0
    assert held(optimizer={"type": "SGD", "params": {"momentum": 0.9}}).optimizer == 4 * COUNT
