"""The layout of a run and the arithmetic of its batch, derived and never written by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dslm.errors import Problem
from dslm.parallel.grid import Grid
from dslm.progress import counted

BATCH = "train_batch_size"
MICRO = "train_micro_batch_size_per_gpu"
ACCUMULATION = "gradient_accumulation_steps"


@dataclass(frozen=True)
class Plan:
    """How the ranks share the work of one step."""

    world: int
    """Number of ranks: `replicas` × `pipeline_stages` × the ranks of `tensor_parallel` and
    `sequence_parallel`."""
    pipeline_stages: int
    """Number of ranks that share one copy of the model, each holding some of its layers."""
    zero_stage: int
    """How much the copies share: 0 nothing, 1 optimizer, 2 and gradients, 3 and weights."""
    micro_batch: int
    """Windows a replica computes at once."""
    accumulation: int
    """Micro-batches a replica computes for a step."""
    sequence: int
    """Tokens of a window."""
    tensor_parallel: int = 1
    """Number of ranks that hold different parts of each matrix."""
    sequence_parallel: int = 1
    """Number of ranks that compute different tokens of the same windows."""
    expert_parallel: int = 1
    """Number of replicas that share the experts of every block."""

    @property
    def grid(self) -> Grid:
        """The ranks along each axis."""
        shared = self.pipeline_stages * self.sequence_parallel * self.tensor_parallel
        return Grid(
            pipeline=self.pipeline_stages,
            data=self.world // shared,
            sequence=self.sequence_parallel,
            tensor=self.tensor_parallel,
        )

    @property
    def in_words(self) -> str:
        """The replicas, and the ranks that each of them has along each axis."""
        shared = {
            "pipeline stage": self.pipeline_stages,
            "sequence rank": self.sequence_parallel,
            "tensor rank": self.tensor_parallel,
        }
        axes = [counted(ranks, noun) for noun, ranks in shared.items() if ranks > 1]
        among = f", {self.expert_parallel} share experts" if self.expert_parallel > 1 else ""
        return " × ".join([counted(self.replicas, "replica") + among, *axes])

    @property
    def replicas(self) -> int:
        """Number of copies of the model that see different windows."""
        return self.grid.data

    @property
    def copies(self) -> int:
        """Number of ranks that hold the same weights; those that see the same windows too."""
        return self.grid.copies

    @property
    def stage_ranks(self) -> int:
        """Number of ranks of a pipeline stage."""
        return self.world // self.pipeline_stages

    @property
    def batch(self) -> int:
        """Windows of a step over all replicas."""
        return self.micro_batch * self.accumulation * self.replicas

    @property
    def tokens_per_step(self) -> int:
        """Tokens predicted in a step."""
        return self.batch * self.sequence

    def deepspeed(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """DeepSpeed's JSON with the whole batch triple filled in.

        DeepSpeed counts a window once for each rank over which it averages gradients, also where
        several of them compute different tokens of it.
        """
        batch = self.micro_batch * self.accumulation * self.copies
        triple = {BATCH: batch, MICRO: self.micro_batch, ACCUMULATION: self.accumulation}
        return {**config, **triple}


def make_plan(
    config: Mapping[str, Any],
    world: int,
    pipeline_stages: int,
    sequence: int,
    kept_batch: int | None = None,
    *,
    tensor_parallel: int = 1,
    sequence_parallel: int = 1,
    expert_parallel: int = 1,
) -> tuple[Plan | None, list[Problem]]:
    """Derive the layout, or report why there is none.

    Args:
        config: DeepSpeed's JSON, already checked by itself (`deepspeed_json`).
        world: number of ranks.
        pipeline_stages: ranks for one copy of the model.
        sequence: tokens of a window.
        kept_batch: the batch of a run that goes on with a JSON that names none; other ranks than
            it had accumulate another number of micro-batches for it.
        tensor_parallel: ranks that hold different parts of each matrix.
        sequence_parallel: ranks that compute different tokens of the same windows.
        expert_parallel: replicas that share the experts of every block.
    """
    replicas, shared = (
        world,
        {
            "pipeline_stages": pipeline_stages,
            "tensor_parallel": tensor_parallel,
            "sequence_parallel": sequence_parallel,
        },
    )
    for key, ranks in shared.items():
        if replicas % ranks:
            divisors = " or ".join(str(d) for d in range(1, replicas + 1) if replicas % d == 0)
            rule = f"does not divide the number of ranks, {replicas}"
            if replicas < world:
                rule += f" = {world} / {world // replicas}"
            fix = f"use {divisors}, or start another number of ranks"
            return None, [Problem(key, ranks, rule, fix)]
        replicas //= ranks
    if replicas % expert_parallel:
        divisors = " or ".join(str(d) for d in range(1, replicas + 1) if replicas % d == 0)
        rule = f"does not divide the number of replicas, {replicas}"
        fix = f"use {divisors}, or start another number of ranks"
        return None, [Problem("expert_parallel", expert_parallel, rule, fix)]
    if kept_batch is not None and BATCH not in config:
        config = {**config, BATCH: kept_batch, ACCUMULATION: None}
    micro, accumulation, problems = _split(config, replicas, world // replicas)
    if problems:
        return None, problems
    zero_stage = config.get("zero_optimization", {}).get("stage", 0)
    batch = micro, accumulation, sequence
    axes = tensor_parallel, sequence_parallel, expert_parallel
    return Plan(world, pipeline_stages, zero_stage, *batch, *axes), []


def _split(config: Mapping[str, Any], replicas: int, each: int) -> tuple[int, int, list[Problem]]:
    """Micro-batch and accumulation from any two of the triple; from one, there is one round.

    Args:
        config: DeepSpeed's JSON.
        replicas: how many share a batch.
        each: ranks of a replica.
    """
    batch, micro, accumulation = (config.get(key) for key in (BATCH, MICRO, ACCUMULATION))
    if accumulation is None and (batch is None or micro is None):
        accumulation = 1
    if micro is not None and accumulation is not None:
        if batch in (None, micro * accumulation * replicas):
            return micro, accumulation, []
        product = f"{micro} × {accumulation} × {replicas} replicas"
        rule = f"contradicts {MICRO} × {ACCUMULATION} × replicas = {product}"
        fix = f"use {micro * accumulation * replicas}, or leave one of the three out"
        return 0, 0, [Problem(BATCH, batch, rule, fix)]
    other_name, other = (MICRO, micro) if micro is not None else (ACCUMULATION, accumulation)
    assert batch is not None, "the JSON has been checked to hold it or the micro-batch"
    assert other is not None, "the accumulation is 1 where it is not given"
    part, rest = divmod(batch, other * replicas)
    if rest or not part:
        rule = f"is not a multiple of {other_name} = {other} × {replicas} replicas"
        fix = "use " + ", or ".join(_legal(batch, other_name, other, replicas, each))
        return 0, 0, [Problem(BATCH, batch, rule, fix)]
    return (other, part, []) if micro is not None else (part, other, [])


def _legal(batch: int, other_name: str, other: int, replicas: int, each: int) -> Iterator[str]:
    """The nearest batches, numbers of ranks and other parts with which a batch can be split."""
    unit = other * replicas
    yield " or ".join(map(str, sorted({max(1, batch // unit) * unit, (batch // unit + 1) * unit})))
    counts = [n * each for n in range(1, batch + 1) if batch % (n * other) == 0]
    if counts:
        yield " or ".join(map(str, _nearest(counts, replicas * each))) + " ranks"
    parts = [n for n in range(1, batch + 1) if batch % (n * replicas) == 0]
    if parts:
        yield f"{other_name} {' or '.join(map(str, _nearest(parts, other)))}"


def _nearest(choices: Sequence[int], value: int) -> list[int]:
    """Of sorted choices the last one below a value and the first one above it."""
    below, above = ([n for n in choices if n < value], [n for n in choices if n > value])
    return [*below[-1:], *above[:1]]
