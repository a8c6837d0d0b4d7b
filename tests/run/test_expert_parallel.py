"""Which layouts replicas can share experts in."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.config.parse import parse
from dslm.parallel.plan import make_plan
from dslm.run.config import RunConfig
from dslm.run.expert_parallel import check_experts

JSON: dict[str, Any] = {
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3}},
    "zero_optimization": {"stage": 1},
    "train_micro_batch_size_per_gpu": 2,
}

AUTOCAST = {"enabled": True, "dtype": "bfloat16"}


def config(experts: int = 4, **changes: Any) -> RunConfig:
    model = {"layers": 2, "heads": 2, "width": 32, "sequence": 16, "experts": experts}
    settings = {"preset": "tiny", "data": {"train": "a"}, "run": "b", "steps": 10}
    return parse(RunConfig, {**settings, "model": model, "expert_parallel": 2, **changes})


def zero(**changes: Any) -> dict[str, Any]:
    return {**JSON, "zero_optimization": {"stage": 1, **changes}}


@pytest.mark.parametrize("stage", [1, 2])
def test_zero_1_and_2_share_experts(stage: int) -> None:
    assert not list(check_experts(config(), zero(stage=stage)))


@pytest.mark.parametrize(
    ("changes", "json", "where", "fix"),
    [
        ({}, zero(stage=0), "zero_optimization.stage", "ds.zero_optimization.stage=1"),
        ({}, zero(stage=3), "zero_optimization.stage", "ds.zero_optimization.stage=1"),
        ({}, {k: v for k, v in JSON.items() if "zero" not in k}, "zero_optimization.stage", "=1"),
        ({"experts": 0}, JSON, "expert_parallel", "set model.experts"),
        ({"experts": 5}, JSON, "expert_parallel", "use 1"),
        ({"experts": 6, "expert_parallel": 4}, JSON, "expert_parallel", "use 2 or 3"),
        ({"pipeline_stages": 2}, JSON, "pipeline_stages", "leave it out"),
        ({"layer_norms_interval": 5}, JSON, "layer_norms_interval", "leave it out"),
        ({"frozen": "embeddings"}, JSON, "frozen", "leave it out"),
        ({"sequence_parallel": 2}, JSON, "sequence_parallel", "leave it out"),
        ({"tensor_parallel": 2}, JSON, "tensor_parallel", "leave it out"),
        ({"compile": True}, {**JSON, "bf16": {"enabled": True}}, "compile", "expert_parallel=1"),
        (
            {},
            zero(offload_optimizer={"device": "cpu"}),
            "zero_optimization.offload_optimizer",
            "leave it out",
        ),
        ({}, zero(reduce_scatter=False), "zero_optimization.reduce_scatter", "leave it out"),
        ({}, {**JSON, "optimizer": {"type": "Lamb"}}, "optimizer.type", "expert_parallel=1"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    changes: dict[str, Any], json: dict[str, Any], where: str, fix: str
) -> None:
    (problem,) = check_experts(config(**changes), json)
    assert problem.where == where
    assert fix in problem.fix
    alone = config(**{**changes, "expert_parallel": 1})
    assert not list(check_experts(alone, json))


def test_experts_are_compiled_in_bf16_alone() -> None:
    asked = config(expert_parallel=1, compile=True)
    (problem,) = check_experts(asked, JSON)
    assert (problem.where, problem.fix) == ("compile", "use precision=bf16, or leave it out")
    for half in ({"bf16": {"enabled": True}}, {"torch_autocast": AUTOCAST}):
        assert not list(check_experts(asked, {**JSON, **half}))
    assert not list(check_experts(config(experts=0, expert_parallel=1, compile=True), JSON))


@pytest.mark.parametrize(("world", "stages", "right"), [(4, 1, True), (3, 1, False), (6, 2, False)])
def test_the_replicas_are_divided_into_groups(world: int, stages: int, right: bool) -> None:
    plan, problems = make_plan(JSON, world, stages, 16, expert_parallel=2)
    assert (plan is not None) == right
    assert [problem.where for problem in problems] == [] if right else ["expert_parallel"]
    if plan is not None:
        assert plan.replicas == world
