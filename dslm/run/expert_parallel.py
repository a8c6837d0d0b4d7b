"""Whether experts can be shared as `RunConfig.expert_parallel` says, and compiled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dslm.errors import Problem
from dslm.run.config import RunConfig

KEY = "expert_parallel"
ZERO = "zero_optimization"


def check_experts(config: RunConfig, deepspeed: Mapping[str, Any] | None) -> Iterator[Problem]:
    """What does not go with experts, and with those that several replicas share.

    Args:
        config: the settings.
        deepspeed: DeepSpeed's JSON, if it is right by itself.
    """
    yield from _check_shared(config)
    if deepspeed is None:
        return
    if config.expert_parallel > 1:
        yield from _check_layout(config, deepspeed)
    if config.compile and config.model.experts and not _is_bf16(deepspeed):
        rule = "needs bf16 with model.experts, as torch compiles their products in no other type"
        yield Problem("compile", True, rule, "use precision=bf16, or leave it out")


def _check_shared(config: RunConfig) -> Iterator[Problem]:
    """What DeepSpeed's JSON has no part in."""
    size, experts = config.expert_parallel, config.model.experts
    if size == 1:
        return
    if experts % size or not experts:
        rule = f"does not divide model.experts = {experts}"
        divisors = [n for n in range(1, experts + 1) if experts % n == 0 and n <= size]
        fix = f"use {' or '.join(map(str, divisors[-2:]))}" if experts else "set model.experts"
        yield Problem(KEY, size, rule, fix)
    refused = {
        "pipeline_stages": config.pipeline_stages if config.pipeline_stages > 1 else None,
        "sequence_parallel": config.sequence_parallel if config.sequence_parallel > 1 else None,
        "tensor_parallel": config.tensor_parallel if config.tensor_parallel > 1 else None,
        "layer_norms_interval": config.layer_norms_interval,
        "frozen": config.frozen,
        "lora.rank": config.lora.rank or None,
        "compile": config.compile or None,
    }
    yield from _refused(refused, size)


def _check_layout(config: RunConfig, deepspeed: Mapping[str, Any]) -> Iterator[Problem]:
    """What of DeepSpeed's JSON does not go with experts that are shared."""
    size = config.expert_parallel
    zero = deepspeed.get(ZERO, {})
    stage = zero.get("stage", 0)
    if stage not in (1, 2):
        rule = f"does not go with {KEY} = {size}, which needs ZeRO-1 or 2"
        yield Problem(f"{ZERO}.stage", stage, rule, f"use ds.{ZERO}.stage=1, or {KEY}=1")
    refused = {
        f"{ZERO}.offload_optimizer": (zero.get("offload_optimizer") or {}).get("device"),
        f"{ZERO}.contiguous_gradients": None if zero.get("contiguous_gradients", True) else False,
        f"{ZERO}.reduce_scatter": None if zero.get("reduce_scatter", True) else False,
    }
    if deepspeed["optimizer"]["type"].lower() in ("lamb", "fusedlamb"):
        refused["optimizer.type"] = deepspeed["optimizer"]["type"]
    yield from _refused(refused, size)


def _refused(found: Mapping[str, Any], size: int) -> Iterator[Problem]:
    """Settings that are other than they have to be."""
    for key, value in found.items():
        if value not in (None, "none"):
            rule = f"does not go with {KEY} = {size}"
            yield Problem(key, value, rule, f"leave it out, or use {KEY}=1")


def _is_bf16(deepspeed: Mapping[str, Any]) -> bool:
    """Whether products are computed in bfloat16."""
    autocast = deepspeed.get("torch_autocast") or {}
    whole = bool((deepspeed.get("bf16") or {}).get("enabled"))
    return whole or bool(autocast.get("enabled") and autocast.get("dtype") == "bfloat16")
