"""How long a run will take, before its first step."""

from __future__ import annotations

from dslm.environment import World
from dslm.model.counts import flops_per_token
from dslm.parallel.cost import ATTAINED, step_time
from dslm.parallel.cpu_speed import cpu_device
from dslm.parallel.deepspeed_json.precision import halves
from dslm.parallel.devices import Cluster, Device, find_device
from dslm.parallel.world import device
from dslm.train.batches import evaluation_rows
from dslm.train.prepare import Job
from dslm.train.validated import validation_rows

FORWARD = 1 / 3
"""Share of the work of a step that its forward pass is."""


def rank_device(world: World) -> Device | None:
    """What a rank computes on; `None` for a GPU whose speed is not known."""
    if world.cpu:
        return cpu_device(world)
    import torch

    return find_device(torch.cuda.get_device_name(device(world)))


def step_seconds(job: Job, world: World, rank: Device | None) -> float | None:
    """Seconds of a step; `None` where the device is not known."""
    hosts = -(-world.size // world.local_size)
    cluster = Cluster(hosts, world.local_size, rank)
    scored = job.forward.scored
    found = step_time(job.config.model, job.plan, job.deepspeed, cluster, scored)
    return None if found is None else found.step


def run_seconds(job: Job, world: World, rank: Device | None, first: int = 0) -> float | None:
    """Seconds from a step to the end of the run, measuring the validation loss included.

    Args:
        job: what is done.
        world: the ranks.
        rank: from `rank_device`.
        first: steps that were made before.
    """
    a_step = step_seconds(job, world, rank)
    if a_step is None or rank is None:
        return None
    steps = max(0, job.config.steps - first)
    return steps * a_step + _measuring(job, rank, steps)


def _measuring(job: Job, rank: Device, steps: int) -> float:
    shards, config = job.sources.validation, job.config
    if shards is None or not steps:
        return 0.0
    rows = validation_rows(config, len(evaluation_rows(shards, job.objective)))
    times = max(1, -(-steps // config.evaluation_interval)) * len(job.objective.held_out())
    per_token = FORWARD * flops_per_token(config.model, job.objective.scored_fraction)
    peak = ATTAINED * (rank.half if halves(job.deepspeed) else rank.single)
    return times * rows * job.plan.sequence * per_token / peak / job.plan.world
