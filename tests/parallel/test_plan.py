from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.parallel.plan import ACCUMULATION, BATCH, MICRO, Plan, make_plan

KEYS = (BATCH, MICRO, ACCUMULATION)
small = some.integers(1, 12)


def planned(config: dict[str, Any], world: int = 1, stages: int = 1) -> Plan:
    plan, problems = make_plan(config, world, stages, sequence=128)
    assert problems == []
    assert plan is not None
    return plan


def refusal(config: dict[str, Any], world: int = 1, stages: int = 1) -> str:
    plan, problems = make_plan(config, world, stages, sequence=128)
    assert plan is None
    (problem,) = problems
    return str(problem)


@given(micro=small, accumulation=small, replicas=small, stages=small, data=some.data())
def test_any_two_of_the_three_give_the_third(
    micro: int, accumulation: int, replicas: int, stages: int, data: some.DataObject
) -> None:
    whole = dict(zip(KEYS, (micro * accumulation * replicas, micro, accumulation), strict=True))
    left_out = data.draw(some.sampled_from([*KEYS, None]))
    config = {key: value for key, value in whole.items() if key != left_out}
    plan = planned(config, replicas * stages, stages)
    assert (plan.micro_batch, plan.accumulation, plan.replicas) == (micro, accumulation, replicas)
    assert plan.batch == whole[BATCH]
    assert plan.tokens_per_step == plan.batch * 128
    assert plan.deepspeed(config) == whole


@given(size=small, replicas=small, stages=small)
def test_one_size_alone_makes_one_round(size: int, replicas: int, stages: int) -> None:
    by_micro = planned({MICRO: size}, replicas * stages, stages)
    by_batch = planned({BATCH: size * replicas}, replicas * stages, stages)
    assert by_micro == by_batch
    assert (by_micro.micro_batch, by_micro.accumulation) == (size, 1)


@given(batch=some.integers(1, 200), micro=small, replicas=small)
def test_a_batch_that_cannot_be_split_is_reported_with_ones_that_can(
    batch: int, micro: int, replicas: int
) -> None:
    config = {BATCH: batch, MICRO: micro}
    unit = micro * replicas
    if batch % unit == 0:
        assert planned(config, replicas).batch == batch
        return
    line = refusal(config, replicas)
    batches, *more = line.rpartition("; use ")[2].split(", or ")
    for other in map(int, batches.split(" or ")):
        assert planned({**config, BATCH: other}, replicas).batch == other
        assert abs(other - batch) < unit
    for choice in more:
        numbers = [int(word) for word in choice.split() if word.isdigit()]
        for number in numbers:
            if choice.endswith(" ranks"):
                assert planned(config, number).batch == batch
            else:
                assert planned({**config, MICRO: number}, replicas).batch == batch
    assert batch % micro == 0 or " ranks" not in line


def test_a_batch_that_cannot_be_split_is_reported() -> None:
    assert refusal({BATCH: 15, MICRO: 2}, world=2) == (
        "train_batch_size = 15: is not a multiple of "
        "train_micro_batch_size_per_gpu = 2 × 2 replicas; use 12 or 16"
    )
    assert refusal({BATCH: 16, MICRO: 2}, world=3) == (
        "train_batch_size = 16: is not a multiple of "
        "train_micro_batch_size_per_gpu = 2 × 3 replicas; use 12 or 18, or 2 or 4 ranks"
    )
    assert refusal({BATCH: 24, MICRO: 4}, world=8, stages=2) == (
        "train_batch_size = 24: is not a multiple of train_micro_batch_size_per_gpu = 4 × 4 "
        "replicas; use 16 or 32, or 6 or 12 ranks, or train_micro_batch_size_per_gpu 3 or 6"
    )
    assert refusal({BATCH: 2, ACCUMULATION: 4}, world=1) == (
        "train_batch_size = 2: is not a multiple of "
        "gradient_accumulation_steps = 4 × 1 replicas; "
        "use 4, or gradient_accumulation_steps 2"
    )


@given(batch=some.integers(1, 200), micro=small, accumulation=small, replicas=small)
def test_a_run_that_goes_on_keeps_a_batch_that_the_json_does_not_name(
    batch: int, micro: int, accumulation: int, replicas: int
) -> None:
    config = {MICRO: micro, ACCUMULATION: accumulation}
    plan, problems = make_plan(config, replicas, 1, 128, kept_batch=batch)
    if batch % (micro * replicas):
        assert plan is None
        assert "is not a multiple of" in str(problems[0])
    else:
        assert plan is not None
        assert (plan.batch, plan.micro_batch) == (batch, micro)


def test_a_triple_that_contradicts_itself_is_reported() -> None:
    assert refusal({BATCH: 16, MICRO: 2, ACCUMULATION: 3}, world=2) == (
        "train_batch_size = 16: contradicts train_micro_batch_size_per_gpu × "
        "gradient_accumulation_steps × replicas = 2 × 3 × 2 replicas; "
        "use 12, or leave one of the three out"
    )


def test_stages_that_do_not_divide_the_ranks_are_reported() -> None:
    assert refusal({MICRO: 1, ACCUMULATION: 1}, world=6, stages=4) == (
        "pipeline_stages = 4: does not divide the number of ranks, 6; "
        "use 1 or 2 or 3 or 6, or start another number of ranks"
    )


@pytest.mark.parametrize(("config", "stage"), [({}, 0), ({"zero_optimization": {"stage": 3}}, 3)])
def test_the_plan_knows_the_zero_stage(config: dict[str, Any], stage: int) -> None:
    assert planned({**config, MICRO: 1, ACCUMULATION: 1}).zero_stage == stage


@given(micro=small, replicas=small, stages=small, tensor=small, sequence=small)
def test_ranks_that_share_a_replica_do_not_change_its_batch(
    micro: int, replicas: int, stages: int, tensor: int, sequence: int
) -> None:
    world = replicas * stages * tensor * sequence
    axes = {"tensor_parallel": tensor, "sequence_parallel": sequence}
    plan, problems = make_plan({MICRO: micro}, world, stages, 128, **axes)
    assert plan is not None, problems
    assert (plan.replicas, plan.batch) == (replicas, micro * replicas)
    assert plan.deepspeed({})[BATCH] == micro * plan.copies


def test_an_axis_that_does_not_divide_the_ranks_left_by_others_is_named() -> None:
    _, problems = make_plan({MICRO: 1}, 12, 2, 128, tensor_parallel=4)
    assert str(problems[0]) == (
        "tensor_parallel = 4: does not divide the number of ranks, 6 = 12 / 2; "
        "use 1 or 2 or 3 or 6, or start another number of ranks"
    )


def test_the_axes_of_a_replica_are_said_in_words() -> None:
    plan, _ = make_plan({MICRO: 1}, 8, 2, 128, tensor_parallel=2)
    assert plan is not None
    assert plan.in_words == "2 replicas × 2 pipeline stages × 2 tensor ranks"
    assert planned({MICRO: 1}).in_words == "1 replica"
