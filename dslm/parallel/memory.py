"""The memory that one rank will need, estimated before anything is allocated.

Weights, gradients and optimizer after Rajbhandari et al. 2020 (ZeRO, section 3), with what
DeepSpeed holds beside them: flat copies, buckets, gathered weights. A step is fullest when the
backward pass begins (all activations), when gradients are reduced (all buckets) or when the
optimizer computes; the estimate is that of the fullest moment on the fullest pipeline stage.
``benchmarks/run.py memory`` compares it with real ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dslm.model.config import ModelConfig
from dslm.model.counts import block_count
from dslm.parallel.activations import PLAIN, Forward, activations, elsewhere
from dslm.parallel.deepspeed_json.optimizer import implementation, moments, named, offloaded
from dslm.parallel.deepspeed_json.precision import (
    SIZES,
    halves,
    master_size,
    moment_size,
    sum_size,
    weight_size,
)
from dslm.parallel.deepspeed_json.schema import given
from dslm.parallel.partition import Part, parts
from dslm.parallel.plan import Plan

BUCKET = 5e8
"""Numbers that DeepSpeed reduces at once unless the JSON says otherwise."""
LIVE = 1e9
"""Gathered numbers that ZeRO-3 keeps at most, likewise."""
SCRATCH = 12 * 2**20
"""Bytes that the matrix kernels of a CPU keep for themselves: 5 to 20 MiB were measured."""


@dataclass(frozen=True)
class Memory:
    """Bytes on the fullest rank at the fullest moment; what is offloaded counts to the host."""

    weights: float
    gradients: float
    optimizer: float
    """Moments and the weights' float32 masters."""
    activations: float
    buffers: float
    """Buckets of communication, flattened gradients, gathered weights."""
    host: float
    copies: float = 0.0
    """Main memory that a rank keeps, from the first checkpoint on, for its part of one."""

    @property
    def device(self) -> float:
        """Bytes on the device (the GPU, or main memory where there is none)."""
        held = self.weights + self.gradients + self.optimizer
        return held + self.activations + self.buffers


@dataclass(frozen=True)
class Moment:
    """What differs between the moments of a step that may be its fullest, in bytes."""

    gradients: float
    buffers: float
    activations: float = 0.0

    @property
    def total(self) -> float:
        """All of it."""
        return self.gradients + self.buffers + self.activations


@dataclass(frozen=True)
class Ranked:
    """A pipeline stage on one of its ranks, and what DeepSpeed's JSON makes of it."""

    plan: Plan
    part: Part
    config: Mapping[str, Any]
    cpu: bool
    elsewhere: int = 0
    """Weights of the stage that other replicas hold for this one: experts that are shared."""

    @property
    def count(self) -> int:
        """Weights of the stage on this rank."""
        return self.part.weights - self.elsewhere

    @property
    def learned(self) -> int:
        """Those that learn, of which alone there are gradients and states of the optimizer."""
        return self.part.learned - self.elsewhere

    @property
    def own(self) -> float:
        """Those that this replica alone updates."""
        return self.part.learned / self.plan.copies if self.plan.zero_stage else self.learned

    @property
    def size(self) -> int:
        """Bytes of a weight in the forward pass."""
        return weight_size(self.config)

    @property
    def sums(self) -> int:
        """Bytes of a number of the gradients that micro-batches add up."""
        return sum_size(self.config)

    @property
    def master(self) -> int:
        """Bytes of the number that the optimizer updates."""
        return master_size(self.config)

    @property
    def accumulates(self) -> bool:
        """Whether gradients of earlier micro-batches are held while the next one is computed."""
        return self.plan.accumulation > 1

    def zero(self, key: str, default: float) -> float:
        """A number or flag of ``zero_optimization``."""
        found = given(self.config, f"zero_optimization.{key}", default)
        return default if found is None else float(found)

    @property
    def bucket(self) -> float:
        """Numbers that are reduced at once."""
        return min(float(self.learned), self.zero("reduce_bucket_size", BUCKET))

    def sent(self, size: int) -> int:
        """Bytes of a number's copy in the type in which it is sent, if that is another one."""
        sent = SIZES.get(given(self.config, "communication_data_type", "") or "", self.size)
        return 0 if sent == size else sent

    @property
    def spare(self) -> float:
        """Numbers of the buckets that are allocated and not filled; a CPU never touches them."""
        if self.cpu or not self.zero("contiguous_gradients", True):
            return 0.0
        overlap = self.zero("overlap_comm", self.plan.zero_stage == 3)
        buckets = 2 if overlap and self.plan.zero_stage < 3 else 1
        return buckets * self.zero("reduce_bucket_size", BUCKET) - self.bucket


def estimate(
    model: ModelConfig,
    plan: Plan,
    config: Mapping[str, Any],
    *,
    cpu: bool = True,
    forward: Forward = PLAIN,
) -> Memory:
    """Estimate the bytes a rank will hold at its fullest.

    Args:
        model: shape, the vocabulary filled in.
        plan: the layout.
        config: DeepSpeed's JSON, checked.
        cpu: whether the ranks compute without an accelerator.
        forward: what a step does that the shape does not say.
    """
    share, away = model.shared(plan.tensor_parallel), elsewhere(model, plan)
    found = (
        _estimate(model, Ranked(plan, part, config, cpu, part.blocks * away), forward)
        for part in parts(share, plan.pipeline_stages, forward.tuning)
    )
    return max(found, key=lambda memory: memory.device)


def _estimate(model: ModelConfig, rank: Ranked, forward: Forward) -> Memory:
    plan, size = rank.plan, rank.size
    weights = size * rank.count / (plan.copies if plan.zero_stage == 3 else 1)
    count = len(moments(rank.config, is_matrix=True))
    kept = moment_size(rank.config) * count
    optimizer = rank.own * (kept + (rank.master if plan.zero_stage else 0))
    computed = 2 if halves(rank.config) else 4
    forward = replace(forward, autocast=computed < size)
    share = model.shared(plan.tensor_parallel)
    acts = activations(share, plan, rank.part, computed, rank.cpu, forward)
    backward, reduce = MOMENTS[_kind(rank)](rank)
    moments_of_a_step = (
        replace(backward, activations=acts.peak),
        replace(reduce, activations=acts.scores, buffers=reduce.buffers + _whole_matrices(rank)),
        replace(_update(rank), activations=acts.scores),
    )
    host = 0.0
    if offloaded(rank.config, "offload_optimizer") != "none":
        # The gradient's part, and what is copied back.
        host = optimizer + rank.own * (rank.master + size)
        optimizer = 0.0
    if offloaded(rank.config, "offload_param") != "none":
        weights, host = 0.0, host + weights
    full = max(moments_of_a_step, key=lambda moment: moment.total)
    buffers = full.buffers + (SCRATCH if rank.cpu else 0)
    part = max(
        4 * (rank.part.weights + count * rank.part.learned) / plan.copies,
        4 * max(1, count) * _largest_layer(model),
    )
    return Memory(weights, full.gradients, optimizer, full.activations, buffers, host, part)


def _largest_layer(model: ModelConfig) -> int:
    """Weights of the largest layer: no file of a checkpoint is divided among ranks."""
    return max(block_count(model), model.size * model.width)


def _kind(rank: Ranked) -> str:
    stage, offloads = rank.plan.zero_stage, offloaded(rank.config, "offload_optimizer") != "none"
    bf16 = given(rank.config, "bf16.enabled", False)
    separate = stage == 1 and bf16 and rank.sums == 4 and not offloads
    return "bf16" if separate else f"zero{stage}"


def _zero0(rank: Ranked) -> tuple[Moment, Moment]:
    """Gradients of torch's own optimizer are flattened to be reduced by several replicas."""
    gradients = 4.0 * rank.learned
    flat = 4.0 * min(rank.learned, BUCKET) if rank.plan.copies > 1 else 0.0
    return Moment(gradients * rank.accumulates, 0.0), Moment(gradients, flat)


def _zero1(rank: Ranked) -> tuple[Moment, Moment]:
    """Gradients stay whole to the end of a step; buckets hold them, and are flattened once more."""
    gradients, spare = rank.sums * rank.learned, rank.sums * rank.spare
    flat = rank.bucket * (rank.sums + rank.sent(rank.sums))
    return Moment(gradients * rank.accumulates, spare), Moment(gradients, spare + flat)


def _bf16(rank: Ranked) -> tuple[Moment, Moment]:
    """BF16_Optimizer holds float32 sums at all times, and beside them a micro-batch's own."""
    gradients, micro = 4.0 * rank.learned, 2.0 * rank.learned
    flat = min(rank.learned, BUCKET) * (4 + rank.sent(4))
    return Moment(gradients, 0.0), Moment(gradients, micro + flat)


def _zero2(rank: Ranked) -> tuple[Moment, Moment]:
    """Each micro-batch's gradients are reduced bucket by bucket, and one part of them is kept."""
    own, spare, bucket = rank.sums * rank.own, rank.size * rank.spare, rank.size * rank.bucket
    summed = own if rank.accumulates or rank.sums != rank.size else 0.0
    return Moment(own * rank.accumulates, spare), Moment(summed, spare + 2 * bucket)


def _zero3(rank: Ranked) -> tuple[Moment, Moment]:
    """As 2, but the bucket is never freed, and the weights in use are gathered."""
    own, spare, bucket = rank.sums * rank.own, rank.size * rank.spare, rank.size * rank.bucket
    live = min(
        rank.zero("stage3_max_live_parameters", rank.zero("max_live_parameters", LIVE)),
        rank.zero("stage3_max_reuse_distance", rank.zero("max_reuse_distance", LIVE)),
    )
    gathered = rank.size * min(rank.count, live)
    return (
        Moment(own, spare + bucket + gathered),
        Moment(own, spare + 2 * bucket + gathered),
    )


MOMENTS = {"zero0": _zero0, "zero1": _zero1, "zero2": _zero2, "zero3": _zero3, "bf16": _bf16}
"""The two moments at each ZeRO stage: the backward pass begins, gradients are reduced."""


def _update(rank: Ranked) -> Moment:
    """The optimizer's step: gradients as one flat part, and what torch computes with."""
    used, asked = implementation(rank.config), given(rank.config, "optimizer.params", {}) or {}
    by_torch = used is not None and used.name.startswith("torch") and not asked.get("fused")
    stage, whole, own = rank.plan.zero_stage, 4.0 * rank.learned, float(rank.master * rank.own)
    if stage == 0:  # a weight at a time on a CPU, all at once on a GPU
        return Moment(whole, whole if by_torch and not rank.cpu else 0.0)
    temporary = 2 * own if by_torch else 0.0
    if _kind(rank) == "bf16":
        return Moment(whole, temporary)
    if stage < 3:
        return Moment(own, temporary)
    bucket = rank.size * (rank.spare + rank.bucket)
    return Moment(rank.sums * rank.own + own, bucket + temporary)


def _whole_matrices(rank: Ranked) -> float:
    """What Muon gathers and orthogonalizes, in copies of the weights; measured on CPU ranks."""
    if named(given(rank.config, "optimizer.type", "") or "") != "Muon":
        return 0.0
    return 4.0 * rank.learned * (3.0 if rank.plan.zero_stage == 3 else 1.5)
