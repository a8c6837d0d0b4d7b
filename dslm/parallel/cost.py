"""What a step costs: bytes sent by each rank, the bubble of the pipeline, seconds; no torch.

Bytes after the ring algorithms (Thakur et al. 2005) and what DeepSpeed calls at each ZeRO stage;
seconds after a roofline (Williams et al. 2009) over the table of `dslm.parallel.devices`.
`ATTAINED`, `HOST_BANDWIDTH` and `LAUNCH` are assumptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

from dslm.model.config import ModelConfig
from dslm.model.counts import block_count, cross_count, expert_count, flops_per_token, idle_count
from dslm.parallel.deepspeed_json.optimizer import moments, offloaded
from dslm.parallel.deepspeed_json.precision import halves, weight_size
from dslm.parallel.deepspeed_json.schema import given
from dslm.parallel.devices import Cluster, Device
from dslm.parallel.partition import blocks_of_stages, parts
from dslm.parallel.plan import Plan

ATTAINED = 0.45
"""Share of a GPU's peak that the products of a large model reach."""
HOST_BANDWIDTH = 25e9
"""Bytes a second that a rank's share of its host's memory and PCIe gives what is offloaded."""
LAUNCH = 1e-3
"""Seconds that a block's kernels take to be started, forward and backward, whatever their size."""


@dataclass(frozen=True)
class Sent:
    """What each rank sends in a step, by one kind of operation."""

    kind: str
    """``all-reduce``, ``reduce-scatter``, ``all-gather``, ``all-to-all`` or ``p2p``."""
    what: str
    bytes: float
    rate: float | None
    """Bytes a second; `None` on CPUs, whose network is not known."""
    between_hosts: bool
    exposed: bool = False
    """Whether nothing can be computed meanwhile."""

    @property
    def seconds(self) -> float:
        """Time on the wire alone."""
        return self.bytes / self.rate if self.rate else 0.0


@dataclass(frozen=True)
class Pipeline:
    """How well the stages of a pipeline are used."""

    blocks: tuple[int, ...]
    bubble: float
    """Share of a step in which a stage waits for the first and the last micro-batches."""
    balance: float
    """Mean work of a stage over that of the busiest."""


@dataclass(frozen=True)
class Time:
    """Seconds of a step, and what they are spent on."""

    compute: float
    exposed: float
    """Communication that nothing hides."""
    update: float
    """The optimizer."""
    waiting: float
    """In the bubble, and for the busiest stage."""

    @property
    def step(self) -> float:
        """All of them."""
        return self.compute + self.exposed + self.update + self.waiting


def sent(model: ModelConfig, plan: Plan, config: Mapping[str, Any], cluster: Cluster) -> list[Sent]:
    """What the busiest rank sends in a step."""
    size, copies, stages = weight_size(config), plan.copies, plan.pipeline_stages
    own = model.shared(plan.tensor_parallel)
    busiest = max(parts(own, stages), key=lambda part: part.weights)
    weights, experts = busiest.weights, busiest.blocks * expert_count(own)
    rounds, tensor = plan.accumulation, plan.tensor_parallel
    alike = copies // plan.expert_parallel  # replicas that have the same experts
    moved = (copies - 1) / copies * (weights - experts)
    moved += (alike - 1) / alike * experts / plan.expert_parallel
    sums = _sum_bytes(config, size)
    ring: list[tuple[str, str, float]] = []
    if plan.zero_stage < 2:
        ring.append(("all-reduce", "gradients", 2 * sums * moved))
    else:
        # At ZeRO-2 DeepSpeed reduces whole buckets on all ranks unless it is asked not to.
        whole = plan.zero_stage == 2 and given(
            config, "zero_optimization.use_multi_rank_bucket_allreduce", True
        )
        kind = "all-reduce" if whole else "reduce-scatter"
        ring.append((kind, "gradients", (1 + whole) * size * moved * rounds))
    if plan.zero_stage in (1, 2):
        ring.append(("all-gather", "updated weights", size * moved))
    if plan.zero_stage == 3:
        live = given(config, "zero_optimization.stage3_max_live_parameters", 1e9) or 1e9
        times = rounds * (1 if weights <= live else 2)  # once more in the backward pass
        ring.append(("all-gather", "weights in use", size * moved * times))
    found = [
        Sent(kind, what, amount, _rate(cluster, copies, tensor), _apart(cluster, copies, tensor))
        for kind, what, amount in ring
        if amount
    ]
    tokens = plan.micro_batch * plan.sequence // plan.sequence_parallel
    if (ranks := plan.sequence_parallel) > 1:
        blocks = max(part.blocks + part.crossing for part in parts(model, stages))
        amount = tokens * exchanged_numbers(own, ranks) * size * blocks * rounds
        rate, between = _rate(cluster, ranks, tensor), _apart(cluster, ranks, tensor)
        found.append(Sent("all-to-all", "heads and tokens", amount, rate, between))
    if tensor > 1:
        numbers = tokens * model.width * _sums(model, stages)
        amount = 2 * (tensor - 1) / tensor * numbers * size * rounds
        where = _rate(cluster, tensor, 1), _apart(cluster, tensor, 1)
        found.append(Sent("all-reduce", "activations of shared layers", amount, *where, True))
    if (among := plan.expert_parallel) > 1:
        trips = 6 if model.recompute else 4  # there and back, in each pass
        chosen = tokens * model.experts_per_token * rounds * model.blocks
        amount = (among - 1) / among * chosen * trips * model.width * size
        way = _rate(cluster, among, 1), _apart(cluster, among, 1)
        found.append(Sent("all-to-all", "tokens to experts", amount, *way))
    if stages > 1:
        hidden = tokens * model.width * size
        if model.encoder_layers:
            hidden *= 2  # its output travels along
        ways = 2 if stages > 2 else 1  # a middle stage sends both on and back
        between = _apart(cluster, stages, copies * tensor)
        rate = _rate(cluster, stages, copies * tensor)
        found.append(Sent("p2p", "activations", ways * hidden * rounds, rate, between))
    return found


def exchanged_numbers(model: ModelConfig, ranks: int) -> float:
    """Numbers that attention sends of a token that a rank has, where so many share each row.

    Queries, keys, values and what attention gives, forward and backward, and forward once more
    where activations are recomputed; of each a rank keeps its own heads. Groups of keys that are
    fewer than ranks are sent several times.
    """
    groups = model.group_width * (ranks // gcd(ranks, model.query_groups))
    passes = 3 if model.recompute else 2
    return passes * (2 * model.query_width + 2 * groups) * (ranks - 1) / ranks


def _sums(model: ModelConfig, stages: int) -> int:
    """Sums of hidden vectors over the ranks that share a layer, of the stage with the most.

    In a block 2 in the forward pass, once more where it is computed again, and 2 in the backward
    pass; behind an encoder 1 and 2 more.
    """
    return max(
        4 * part.blocks
        + 2 * (part.blocks if model.recompute == "selective" else model.recomputed(part.blocks))
        + (4 if model.recompute else 3) * part.crossing
        for part in parts(model, stages)
    )


def _sum_bytes(config: Mapping[str, Any], size: int) -> int:
    """Bytes of a number of the gradients that are sent."""
    named = {"fp32": 4, "fp16": 2, "bf16": 2}
    kind = given(config, "communication_data_type", "") or ""
    return named.get(kind, size)


def _rate(cluster: Cluster, ranks: int, apart: int) -> float | None:
    return None if cluster.device is None else cluster.rate(ranks, apart)


def _apart(cluster: Cluster, ranks: int, apart: int) -> bool:
    """Whether a group of ranks lies on several hosts."""
    return (ranks - 1) * apart + 1 > cluster.local


def pipeline(model: ModelConfig, plan: Plan) -> Pipeline:
    """How well the stages are used (1F1B, Narayanan et al. 2021)."""
    stages, rounds = plan.pipeline_stages, plan.accumulation
    model = model.shared(plan.tensor_parallel)
    blocks = blocks_of_stages(model.blocks, stages)
    block = block_count(model) - idle_count(model)
    work = [
        float(part.blocks * block + part.crossing * cross_count(model))
        for part in parts(model, stages)
    ]
    if model.output == "scores":
        work[-1] += model.scores * model.width
    bubble = (stages - 1) / (rounds + stages - 1)
    return Pipeline(tuple(blocks), bubble, sum(work) / stages / max(work))


def step_time(
    model: ModelConfig,
    plan: Plan,
    config: Mapping[str, Any],
    cluster: Cluster,
    scored: float = 1.0,
) -> Time | None:
    """Seconds that a step takes; `None` on CPUs."""
    device = cluster.device
    if device is None:
        return None
    tokens = plan.tokens_per_step
    share = model.shared(plan.tensor_parallel)
    operations = flops_per_token(share, scored) * tokens
    again = 2.0 * (block_count(share) - idle_count(share))
    operations += again * model.recomputed(model.blocks) * tokens
    peak = ATTAINED * (device.half if halves(config) else device.single)
    started = LAUNCH * model.blocks / plan.pipeline_stages * plan.accumulation
    compute = max(operations / peak / plan.world * plan.tensor_parallel, started)
    used = pipeline(model, plan)
    waiting = compute / used.balance / (1 - used.bubble) - compute
    messages = sent(model, plan, config, cluster)
    wire = sum(one.seconds for one in messages if not one.exposed)
    hidden = compute / 2 if _overlaps(plan, config) else 0.0
    exposed = max(0.0, wire - hidden) + sum(one.seconds for one in messages if one.exposed)
    return Time(compute, exposed, _update(share, plan, config, device), waiting)


def _overlaps(plan: Plan, config: Mapping[str, Any]) -> bool:
    """Whether gradients are sent while others are computed."""
    if plan.zero_stage == 0 or plan.pipeline_stages > 1:
        return False
    asked = given(config, "zero_optimization.overlap_comm", None)
    return plan.zero_stage == 3 if asked is None else bool(asked)


def _update(model: ModelConfig, plan: Plan, config: Mapping[str, Any], device: Device) -> float:
    """Seconds of the optimizer: it reads and writes weight and moments, and reads the gradient."""
    weights = max(part.weights for part in parts(model, plan.pipeline_stages))
    own = weights / plan.copies if plan.zero_stage else weights
    touched = own * 4 * (3 + 2 * len(moments(config, is_matrix=True)))
    offloads = offloaded(config, "offload_optimizer") != "none"
    return touched / (HOST_BANDWIDTH if offloads else device.bandwidth)
