from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from helpers.models import GRU, KEYS, LSTM, build, small
from torch.utils._python_dispatch import TorchDispatchMode

from dslm.model.config import ModelConfig
from dslm.model.counts import expert_count, parameter_count
from dslm.model.recompute import KEPT
from dslm.parallel.activations import kept_by_block, kept_selectively
from dslm.parallel.memory import Memory, estimate
from dslm.parallel.partition import blocks_of_stages, parts
from dslm.parallel.plan import Plan
from dslm.train.shares import shares

MODEL = ModelConfig(layers=4, heads=4, width=64, sequence=32, vocabulary=100)
COUNT = parameter_count(MODEL)
ADAMW = {"type": "AdamW"}
BF16 = {"bf16": {"enabled": True}}
OFFLOADED = {"offload_optimizer": {"device": "cpu"}}


def held(
    stage: int = 0, world: int = 4, stages: int = 1, recompute: Any = False, **more: Any
) -> Memory:
    model = replace(MODEL, recompute=recompute)
    plan = Plan(world, stages, stage, micro_batch=2, accumulation=3, sequence=32)
    return estimate(model, plan, {"optimizer": ADAMW, **more})


def test_without_zero_a_rank_holds_sixteen_bytes_a_weight() -> None:
    memory = held(stage=0)
    assert memory.weights + memory.gradients + memory.optimizer == 16 * COUNT


def test_at_zero_3_each_rank_holds_its_share_and_a_master_of_it() -> None:
    memory = held(stage=3, world=4)
    assert memory.weights + memory.gradients + memory.optimizer == 20 * COUNT / 4


def test_sixteen_bits_keep_a_master_copy_with_the_optimizer() -> None:
    memory = held(stage=2, world=1, **BF16)
    assert (memory.weights, memory.optimizer) == (2 * COUNT, 12 * COUNT)


def test_masters_and_moments_of_16_bits_take_half() -> None:
    lean = {"bf16_master_weights_and_grads": True, "bf16_optimizer_states": True}
    config = {"bf16": {"enabled": True, **lean}}
    memory = held(stage=2, world=1, **config)
    assert (memory.weights, memory.optimizer) == (2 * COUNT, 6 * COUNT)
    whole = held(stage=2, world=1, **BF16)
    assert memory.copies == whole.copies, "a checkpoint is in float32"
    float32 = {**config, "data_types": {"grad_accum_dtype": "fp32"}}
    assert held(stage=2, world=1, **float32).gradients == 2 * memory.gradients


def test_autocast_keeps_float32_weights_and_fewer_bytes_of_activations() -> None:
    autocast = {"torch_autocast": {"enabled": True, "dtype": "bfloat16"}}
    plan = Plan(1, 1, 2, micro_batch=64, accumulation=1, sequence=32)
    whole, cast, half = (
        estimate(MODEL, plan, {"optimizer": ADAMW, **config}) for config in ({}, autocast, BF16)
    )
    assert (cast.weights, cast.optimizer) == (whole.weights, whole.optimizer)
    assert half.activations < cast.activations < 0.8 * whole.activations


@pytest.mark.parametrize("config", [{}, BF16])
def test_a_higher_stage_keeps_less_and_sends_more(config: dict[str, Any]) -> None:
    stages = range(1 if config else 0, 4)
    memories = [held(stage, **config) for stage in stages]
    kept = [memory.weights + memory.gradients + memory.optimizer for memory in memories]
    assert kept == sorted(kept, reverse=True)
    assert len(set(kept)) == len(stages)
    assert memories[-1].buffers == max(memory.buffers for memory in memories)


def test_a_gpu_allocates_whole_buckets_and_a_cpu_what_is_filled() -> None:
    plan = Plan(4, 1, 2, micro_batch=2, accumulation=1, sequence=32)
    config = {"optimizer": ADAMW, "zero_optimization": {"overlap_comm": True}}
    on_gpu, on_cpu = (estimate(MODEL, plan, config, cpu=cpu).buffers for cpu in (False, True))
    assert on_gpu > 2 * 4 * 5e8 > 100 * on_cpu
    config["zero_optimization"] = {"reduce_bucket_size": 1e4}
    assert estimate(MODEL, plan, config, cpu=False).buffers < 1e6


def test_a_rank_holds_the_sum_of_its_parts() -> None:
    memory = Memory(1.0, 2.0, 3.0, 4.0, 5.0, host=100.0)
    assert memory.device == 15.0


def test_what_is_offloaded_moves_to_the_host() -> None:
    before = held(stage=3)
    both = {**OFFLOADED, "offload_param": {"device": "cpu"}}
    after = held(stage=3, zero_optimization=both)
    assert (after.weights, after.optimizer) == (0.0, 0.0)
    assert after.host == before.weights + before.optimizer + 8 * COUNT / 4
    assert held(stage=3, zero_optimization={"offload_param": {"device": "none"}}) == before


def test_recomputing_keeps_fewer_activations() -> None:
    assert held(recompute=True).activations < held().activations / 2
    ways = [held(recompute=way).activations for way in (True, 2, False)]
    assert ways == sorted(ways)
    assert held(recompute=5).activations == held().activations, "there are four blocks"
    assert held(recompute=True).activations < held(recompute="selective").activations
    assert held(recompute="selective").activations < held().activations


def test_a_pipeline_stage_holds_its_layers_and_one_end() -> None:
    whole, half = held(world=4), held(world=4, stages=2)
    assert whole.weights / 2 < half.weights < whole.weights


RECURRENT = [small(**kind, width=128, layers=1, dropout=0.1) for kind in (LSTM, GRU)]
ATTENTION = [
    replace(MODEL, layers=1, width=128, **changes)
    for changes in (
        {},
        {"norm": "rms"},
        {"activation": "swiglu"},
        {"positions": "rotary", "sequence": 256},
        {"key_value_heads": 1, "attention": "full"},
        {"norm_position": "post", "feed_forward": 128},
        {"dropout": 0.1, "sequence": 128},
        {"head_width": 96, "positions": "rotary", "key_value_heads": 2},
        {"head_width": 96, "dropout": 0.1, "sequence": 128},
        {"experts": 4},
        {"experts": 16, "experts_per_token": 3, "activation": "swiglu"},
        {"qk_norm": True, "activation": "relu2"},
        {"qk_norm": True, "norm": "rms", "positions": "rotary", "key_value_heads": 2},
    )
]


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        *((shape, torch.float32) for shape in RECURRENT + ATTENTION),
        *((shape, torch.bfloat16) for shape in ATTENTION),
    ],
)
def test_a_block_keeps_what_torch_keeps(shape: ModelConfig, dtype: torch.dtype) -> None:
    keys = KEYS if shape.dropout else None
    block = build(shape).layers["2"].train().to(dtype)
    weights = {weight.untyped_storage().data_ptr() for weight in block.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = torch.randn(2, shape.sequence, shape.width, dtype=dtype, requires_grad=True)
        block(hidden, dropout_keys=keys)
    seen = sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in weights)
    estimated = 2 * shape.sequence * kept_by_block(shape, dtype.itemsize, cpu=True)
    assert estimated == pytest.approx(seen, rel=0.1)


class Results(TorchDispatchMode):
    """Adds up the bytes that the operations of a list give."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), more: Any = None
    ) -> Any:
        made = function(*arguments, **(more or {}))
        if function in KEPT:
            tensors = made if isinstance(made, tuple) else (made,)
            self.bytes += sum(one.nbytes for one in tensors if torch.is_tensor(one))
        return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", ATTENTION)
def test_what_is_cheap_is_not_kept(shape: ModelConfig, dtype: torch.dtype) -> None:
    """Nothing is saved beside the input and the results of the operations that are listed."""
    keys = KEYS if shape.dropout else None
    block = build(replace(shape, recompute="selective")).layers["2"].train().to(dtype)
    hidden = torch.randn(2, shape.sequence, shape.width, dtype=dtype, requires_grad=True)
    with Results() as results:
        made = block(hidden, dropout_keys=keys)
    estimated = 2 * shape.sequence * kept_selectively(shape, dtype.itemsize, cpu=True)
    assert estimated == pytest.approx(hidden.nbytes + results.bytes, rel=0.1)
    with Results() as results:
        made.sum().backward()
    once = 0
    for name, weight in block.named_parameters():
        if weight.dim() > 1:
            size = 4 if "router" in name else dtype.itemsize
            tokens = 2 * shape.sequence * (shape.experts_per_token if weight.dim() == 3 else 1)
            once += size * (tokens * weight.shape[-1] + weight.numel())
    assert results.bytes == once, "made once more"


@pytest.mark.parametrize("stages", range(1, 9))
def test_blocks_are_spread_as_deepspeed_spreads_them(stages: int) -> None:
    from deepspeed.runtime.utils import partition_balanced

    for blocks in range(stages, 20):
        layers = [0, 0, *[1] * blocks, 0, 0]
        borders = partition_balanced(layers, stages)
        seen = [sum(layers[a:b]) for a, b in pairwise(borders)]
        assert blocks_of_stages(blocks, stages) == seen


def test_stages_hold_all_weights_and_the_tied_ones_twice() -> None:
    held_by_stages = sum(part.weights for part in parts(MODEL, 4))
    assert held_by_stages == COUNT + MODEL.size * MODEL.width
    untied = replace(MODEL, tied=False)
    assert sum(part.weights for part in parts(untied, 4)) == parameter_count(untied)


def test_replicas_that_share_experts_hold_a_part_of_them() -> None:
    model = replace(MODEL, experts=8)
    alone = Plan(4, 1, 1, micro_batch=2, accumulation=3, sequence=32)
    shared = replace(alone, expert_parallel=4)
    whole, part = (estimate(model, plan, {"optimizer": ADAMW}) for plan in (alone, shared))
    away = 6 * expert_count(model) // 8 * model.layers
    assert whole.weights - part.weights == 4 * away
    assert whole.gradients - part.gradients == 4 * away
    assert whole.optimizer == part.optimizer
    assert whole.copies == part.copies


def test_sgd_without_momentum_keeps_nothing() -> None:
    assert held(optimizer={"type": "SGD"}).optimizer == 0
    assert held(optimizer={"type": "SGD", "params": {"momentum": 0.9}}).optimizer == 4 * COUNT


@pytest.mark.parametrize("world", [1, 2, 3, 4, 8, 64])
@pytest.mark.parametrize("shape", [{}, {"vocabulary": 5000}, {"tied": False}, {"layers": 12}])
def test_the_copy_for_a_checkpoint_is_that_of_the_rank_with_most(
    world: int, shape: dict[str, Any]
) -> None:
    model = replace(MODEL, **shape)
    weights: dict[str, int] = {}
    for name, weight in build(model).named_parameters():
        layer = name.split(".")[1]
        weights[layer] = weights.get(layer, 0) + weight.numel()
    sizes = [each for count in weights.values() for each in (4 * count, 8 * count)]
    taken = shares(sizes, world)
    loads = [0] * world
    for size, rank in zip(sizes, taken, strict=True):
        loads[rank] += size
    plan = Plan(world, 1, 1, micro_batch=2, accumulation=3, sequence=32)
    predicted = estimate(model, plan, {"optimizer": ADAMW}).copies
    assert 0.75 * max(loads) <= predicted <= max(loads) + 1
