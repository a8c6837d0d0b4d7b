"""Bytes sent, bubbles and seconds, against what can be said without a machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dslm.model.config import ModelConfig
from dslm.model.counts import flops_per_token, parameter_count
from dslm.parallel.cost import ATTAINED, exchanged_numbers, pipeline, sent, step_time
from dslm.parallel.devices import Cluster, read_gpus
from dslm.parallel.grid import Grid
from dslm.parallel.layouts import fits, layouts
from dslm.parallel.memory import Memory, estimate
from dslm.parallel.plan import Plan

MODEL = ModelConfig(layers=24, heads=16, width=2048, sequence=1024, vocabulary=50_000)
COUNT = parameter_count(MODEL)
BF16: dict[str, Any] = {"bf16": {"enabled": True}, "optimizer": {"type": "AdamW"}}
EIGHT = read_gpus("8xH100", hosts=1)
TWO_HOSTS = read_gpus("8xH100", hosts=2)


def plan(world: int = 8, stages: int = 1, zero: int = 1, rounds: int = 4) -> Plan:
    return Plan(world, stages, zero, micro_batch=4, accumulation=rounds, sequence=1024)


def amounts(of: Plan, cluster: Cluster = EIGHT, **config: Any) -> dict[str, float]:
    return {one.kind: one.bytes for one in sent(MODEL, of, {**BF16, **config}, cluster)}


def test_one_rank_sends_nothing() -> None:
    assert amounts(plan(world=1)) == {}


def test_zero_1_reduces_once_and_gathers_the_weights() -> None:
    share = 7 / 8
    assert amounts(plan()) == pytest.approx(
        {"all-reduce": 2 * share * 2 * COUNT, "all-gather": share * 2 * COUNT}
    )


def test_zero_2_and_3_reduce_every_micro_batch() -> None:
    once, often = (amounts(plan(zero=2, rounds=rounds)) for rounds in (1, 4))
    assert often["all-reduce"] == 4 * once["all-reduce"]
    third = amounts(plan(zero=3))
    assert third["reduce-scatter"] == pytest.approx(7 / 8 * 2 * COUNT * 4)
    assert third["all-gather"] == 2 * third["reduce-scatter"], "more weights than are kept"
    kept = {"zero_optimization": {"stage3_max_live_parameters": 2e9}}
    assert amounts(plan(zero=3), **kept)["all-gather"] == third["reduce-scatter"]


def test_a_pipeline_sends_activations_both_ways() -> None:
    found = amounts(plan(stages=4))
    assert found["p2p"] == 2 * 4 * (4 * 1024 * 2048 * 2)


def test_ranks_that_share_rows_exchange_four_times_a_block_and_pass() -> None:
    shared = replace(plan(), sequence_parallel=4)
    whole, found = amounts(plan()), amounts(shared)
    tokens = 4 * 4 * 1024 // 4
    assert found["all-to-all"] == 24 * 2 * 4 * tokens * 2048 * 2 * 3 / 4
    assert found["all-reduce"] == whole["all-reduce"], "all ranks hold the same weights"
    few = replace(MODEL, key_value_heads=2)
    numbers = exchanged_numbers(few, 2), exchanged_numbers(few, 4)
    assert numbers == (2 * (4096 + 512) / 2, 2 * (4096 + 1024) * 3 / 4), "2 groups for 4 ranks"


def test_replicas_are_neighbours_and_stages_far_apart() -> None:
    found = sent(MODEL, plan(world=16, stages=2), BF16, TWO_HOSTS)
    between = {one.kind: one.between_hosts for one in found}
    assert between == {"all-reduce": False, "all-gather": False, "p2p": True}


def test_the_bubble_is_that_of_one_forward_one_backward() -> None:
    assert pipeline(MODEL, plan(stages=4, rounds=12)).bubble == pytest.approx(3 / 15)
    assert pipeline(MODEL, plan(stages=1)).bubble == 0


def test_stages_are_as_fast_as_the_busiest() -> None:
    even = pipeline(replace(MODEL, vocabulary=1), plan(stages=4))
    assert even.blocks == (6, 6, 6, 6)
    assert even.balance == pytest.approx(1, abs=0.01)
    uneven = pipeline(replace(MODEL, vocabulary=1, layers=25), plan(stages=4))
    assert uneven.blocks == (7, 6, 6, 6)
    assert uneven.balance == pytest.approx(25 / 28, abs=0.01)


def test_one_gpu_computes_at_the_share_of_its_peak_that_is_assumed() -> None:
    alone = read_gpus("H100", hosts=1)
    time = step_time(MODEL, plan(world=1, rounds=64), BF16, alone)
    assert time is not None
    work = flops_per_token(MODEL) * 4 * 64 * 1024
    assert time.compute == pytest.approx(work / (ATTAINED * 989e12), rel=0.01)
    assert time.exposed == time.waiting == 0
    assert time.step == pytest.approx(time.compute, rel=0.02)


def test_recomputing_takes_about_a_third_more() -> None:
    plain, again, half, cheap = (
        step_time(replace(MODEL, recompute=value), plan(), BF16, EIGHT)
        for value in (False, True, 2, "selective")
    )
    assert plain is not None
    assert again is not None
    assert half is not None
    assert 1.2 < again.compute / plain.compute < 1.34
    assert half.compute == pytest.approx((plain.compute + again.compute) / 2)
    assert cheap == plain


def test_a_slower_network_never_makes_a_step_shorter() -> None:
    steps = []
    for gigabits in (10, 100, 400, 3200):
        cluster = read_gpus("8xH100", hosts=2, network=gigabits)
        time = step_time(MODEL, plan(world=16), BF16, cluster)
        assert time is not None
        steps.append(time.step)
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 1.5 * steps[-1]


def test_nothing_is_said_about_the_time_of_a_cpu() -> None:
    cpus = Cluster(1, 2, None)
    assert step_time(MODEL, plan(world=2), BF16, cpus) is None
    assert all(one.seconds == 0 for one in sent(MODEL, plan(world=2), BF16, cpus))


def test_one_long_window_is_shared_by_all_ranks() -> None:
    long, optimizer = replace(MODEL, sequence=131_072), {"lr": 1e-3, "torch_adam": True}
    config = {**BF16, "optimizer": {"type": "AdamW", "params": optimizer}}
    config |= {"zero_optimization": {"stage": 3}, "data_types": {"grad_accum_dtype": "fp32"}}
    one = Plan(8, 8, 1, micro_batch=1, accumulation=1, sequence=131_072)
    best, *_ = layouts(long, one, config, EIGHT, sharing=[(1, rows) for rows in (1, 2, 4, 8)])
    assert best.plan.grid == Grid(sequence=8)
    assert "sequence_parallel=8" in best.words
    alone, *_ = layouts(long, one, config, EIGHT)
    assert alone.plan.grid == Grid(pipeline=8)
    assert best.time is not None
    assert alone.time is not None
    assert best.time.step < alone.time.step / 5, "whose stages wait for each other"


def test_what_is_offloaded_needs_main_memory() -> None:
    memory = Memory(1e9, 1e9, 0.0, 1e9, 1e9, host=30e9)
    assert fits(memory, EIGHT)
    assert fits(memory, EIGHT, available=250e9)
    assert not fits(memory, EIGHT, available=200e9)
    assert not fits(replace(memory, activations=80e9), EIGHT)


def test_ranks_that_share_layers_wait_for_sums_of_hidden_vectors() -> None:
    shared = replace(plan(zero=1), tensor_parallel=4)
    *_, sums = sent(MODEL, shared, BF16, EIGHT)
    hidden = 4 * 1024 * 2048 * 2  # bytes of a micro-batch
    assert sums.exposed
    assert sums.bytes == pytest.approx(2 * 3 / 4 * hidden * 4 * 24 * 4)
    assert amounts(shared)["all-gather"] < amounts(plan(zero=1))["all-gather"] / 2
    recomputed = sent(replace(MODEL, recompute=True), shared, BF16, EIGHT)[-1]
    assert recomputed.bytes == pytest.approx(sums.bytes * 6 / 4)
    time = step_time(MODEL, shared, BF16, EIGHT)
    assert time is not None
    assert time.exposed >= sums.seconds > 0


def test_what_ranks_share_is_divided_and_the_head_is_not() -> None:
    alone, shared = (
        estimate(MODEL, replace(plan(world=ranks, zero=0), tensor_parallel=ranks), BF16)
        for ranks in (1, 4)
    )
    table = MODEL.size * MODEL.width
    blocks = 2 * (COUNT - table)
    assert alone.weights - shared.weights == pytest.approx(3 / 4 * blocks, rel=0.01)
    assert shared.activations < alone.activations
