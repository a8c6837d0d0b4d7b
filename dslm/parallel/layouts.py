"""The layouts in which a model can be trained with the same batch, ranked by speed; no torch.

Every pipeline × sequence axis × tensor axis × ZeRO stage × micro-batch × recomputing × offload of
the optimizer is tried, the ranks of a row and those of a layer on one host. One is legal when
`deepspeed_json` and `make_plan` find no fault with it; it fits when its estimated memory, and what
the GPU's own software takes, is no more than the device has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from dslm.model.config import ModelConfig
from dslm.parallel.activations import PLAIN, Forward
from dslm.parallel.cost import Time, step_time
from dslm.parallel.deepspeed_json import check as ds_check
from dslm.parallel.deepspeed_json.optimizer import offloaded
from dslm.parallel.devices import Cluster
from dslm.parallel.memory import Memory, estimate
from dslm.parallel.plan import ACCUMULATION, BATCH, MICRO, Plan, make_plan

CONTEXT = 1.5 * 2**30
"""Bytes that CUDA, NCCL and cuBLAS take of each GPU beside torch's."""
FRAGMENTED = 0.05
"""Share of a GPU's memory that torch's allocator cannot use."""
ZERO = "zero_optimization"


@dataclass(frozen=True)
class Layout:
    """One way to train the model, and what it costs."""

    plan: Plan
    model: ModelConfig
    config: Mapping[str, Any]
    """DeepSpeed's JSON."""
    memory: Memory
    time: Time | None

    @property
    def offloads(self) -> bool:
        """Whether the optimizer is on the host."""
        return offloaded(self.config, "offload_optimizer") != "none"

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens a second of all ranks; `None` on CPUs."""
        return self.plan.tokens_per_step / self.time.step if self.time else None

    @property
    def words(self) -> list[str]:
        """The settings of it that dslm owns."""
        return [
            f"pipeline_stages={self.plan.pipeline_stages}",
            f"sequence_parallel={self.plan.sequence_parallel}",
            f"tensor_parallel={self.plan.tensor_parallel}",
            f"model.recompute={str(self.model.recompute).lower()}",
            *([f"expert_parallel={self.plan.expert_parallel}"] if self.model.experts else []),
        ]

    @property
    def fragment(self) -> dict[str, Any]:
        """The keys of it in DeepSpeed's JSON."""
        keys = (BATCH, MICRO, ZERO)
        return {key: self.config[key] for key in keys}


def fits(memory: Memory, cluster: Cluster, available: float | None = None) -> bool:
    """Whether a rank's memory is enough.

    Args:
        memory: estimated.
        cluster: the ranks.
        available: bytes of main memory for all ranks of a host, if known.
    """
    if cluster.device is not None:
        usable = (1 - FRAGMENTED) * cluster.device.memory - CONTEXT
        if memory.device > usable:
            return False
    needed = memory.host + memory.copies + (memory.device if cluster.cpu else 0.0)
    return available is None or needed * cluster.local <= available


def layouts(
    model: ModelConfig,
    plan: Plan,
    config: Mapping[str, Any],
    cluster: Cluster,
    *,
    forward: Forward = PLAIN,
    available: float | None = None,
    sharing: Sequence[tuple[int, int]] = ((1, 1),),
) -> list[Layout]:
    """The layouts that fit, the fastest first; of those equally fast the one with less memory.

    Of layouts that differ in the micro-batch alone the best is given.

    Args:
        model: its shape, the vocabulary filled in.
        plan: whose batch is kept.
        config: DeepSpeed's JSON, checked.
        cluster: the ranks.
        forward: what the forward pass does that the shape does not say.
        available: bytes of main memory for all ranks of a host, if known.
        sharing: how many ranks may share each layer, and with it how many each row.
    """
    best: dict[tuple[object, ...], Layout] = {}
    for found in _legal(model, plan, config, cluster, forward, sharing):
        if not fits(found.memory, cluster, available):
            continue
        key = (
            found.plan.pipeline_stages,
            found.plan.sequence_parallel,
            found.plan.tensor_parallel,
            found.plan.zero_stage,
            found.model.recompute,
            found.offloads,
        )
        if key not in best or rank(found) < rank(best[key]):
            best[key] = found
    return sorted(best.values(), key=rank)


def rank(layout: Layout) -> tuple[float, ...]:
    """What layouts are sorted by: seconds of a step, then how much is done to save memory."""
    seconds = float(f"{layout.time.step:.2g}") if layout.time else 0.0
    plan = layout.plan
    shared = plan.pipeline_stages, plan.tensor_parallel, plan.sequence_parallel
    effort = (layout.offloads, bool(layout.model.recompute), *shared, plan.zero_stage)
    work = (*map(float, effort), layout.memory.device)
    return (seconds, *work) if layout.time else (*work, float(-plan.micro_batch))


def _legal(
    model: ModelConfig,
    plan: Plan,
    config: Mapping[str, Any],
    cluster: Cluster,
    forward: Forward,
    sharing: Sequence[tuple[int, int]],
) -> Iterator[Layout]:
    stages = [n for n in _divisors(cluster.ranks) if n <= model.blocks]
    for pipeline, (tensor, sequence), stage, offloads in product(
        stages, sharing, range(4), (False, True)
    ):
        if offloads and not stage:
            continue
        changed = {**_changed(config, stage, offloads), BATCH: plan.batch, MICRO: 1}
        layout: dict[str, Any] = {"pipeline_stages": pipeline, "tensor_parallel": tensor}
        if ds_check.check(changed, cpu=cluster.cpu, **layout):
            continue
        layout["sequence_parallel"] = sequence
        replicas, rest = divmod(cluster.ranks, pipeline * tensor * sequence)
        if rest or plan.batch % replicas:
            continue
        for micro, recompute in product(_divisors(plan.batch // replicas), (False, True)):
            sized = {**changed, MICRO: micro}
            made, _ = make_plan(sized, cluster.ranks, sequence=plan.sequence, **layout)
            if made is None:
                continue
            shape = replace(model, recompute=recompute)
            memory = estimate(shape, made, sized, cpu=cluster.cpu, forward=forward)
            time = step_time(shape, made, sized, cluster, forward.scored)
            yield Layout(made, shape, sized, memory, time)


def _changed(config: Mapping[str, Any], stage: int, offloads: bool) -> dict[str, Any]:
    """DeepSpeed's JSON at another ZeRO stage, with the optimizer on the host or not."""
    block = {**config.get(ZERO, {}), "stage": stage}
    for key in ("offload_optimizer", "offload_param"):
        block.pop(key, None)
    if offloads:
        block["offload_optimizer"] = {"device": "cpu"}
    if stage < 3:
        block = {key: value for key, value in block.items() if not key.startswith("stage3_")}
    others = {key: value for key, value in config.items() if key != ACCUMULATION}
    return {**others, ZERO: block}


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
