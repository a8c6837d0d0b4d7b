"""Whether replicas can share the experts of a model as `RunConfig.expert_parallel` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dslm.errors import Problem

if TYPE_CHECKING:
    from dslm.run.config import RunConfig

KEY = "expert_parallel"
ZERO = "zero_optimization"


def check_expert_parallel(config: RunConfig, deepspeed: Mapping[str, Any]) -> Iterator[Problem]:
    """What does not go with experts that several replicas share.

    Args:
        config: the settings.
        deepspeed: DeepSpeed's JSON, checked by itself.
    """
    size, experts = config.expert_parallel, config.model.experts
    if size == 1:
        return
    if experts % size or not experts:
        rule = f"does not divide model.experts = {experts}"
        divisors = [n for n in range(1, experts + 1) if experts % n == 0 and n <= size]
        fix = f"use {' or '.join(map(str, divisors[-2:]))}" if experts else "set model.experts"
        yield Problem(KEY, size, rule, fix)
    zero = deepspeed.get(ZERO, {})
    stage = zero.get("stage", 0)
    if stage not in (1, 2):
        rule = f"does not go with {KEY} = {size}, which needs ZeRO-1 or 2"
        yield Problem(f"{ZERO}.stage", stage, rule, f"use ds.{ZERO}.stage=1, or {KEY}=1")
    refused = {
        "pipeline_stages": config.pipeline_stages if config.pipeline_stages > 1 else None,
        "tensor_parallel": config.tensor_parallel if config.tensor_parallel > 1 else None,
        "layer_norms_interval": config.layer_norms_interval,
        "frozen": config.frozen,
        "lora.rank": config.lora.rank or None,
        f"{ZERO}.offload_optimizer": (zero.get("offload_optimizer") or {}).get("device"),
        f"{ZERO}.contiguous_gradients": None if zero.get("contiguous_gradients", True) else False,
        f"{ZERO}.reduce_scatter": None if zero.get("reduce_scatter", True) else False,
    }
    if deepspeed["optimizer"]["type"].lower() in ("lamb", "fusedlamb"):
        refused["optimizer.type"] = deepspeed["optimizer"]["type"]
    for key, found in refused.items():
        if found not in (None, "none"):
            rule = f"does not go with {KEY} = {size}"
            yield Problem(key, found, rule, f"leave it out, or use {KEY}=1")
