"""The micro-batches of a training step and of an evaluation, for one replica.

The path of a sample: its tokens come from the training order or from held-out text, the objective
makes inputs and labels of them on the CPU, in training a step ahead (`ahead`), and these move to
the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dslm.arrays import UInt64Array
from dslm.objectives.base import Objective
from dslm.objectives.batch import IGNORE, Batch, each
from dslm.parallel.plan import Plan
from dslm.sampling.stateless_random import RandomStream, sample_bits
from dslm.sampling.stream import RowSource, Samples, Stream, chosen, ordered
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from torch import Tensor

TOKENS = 8192
"""Tokens computed at once by a model that is only used."""


def training_batch(
    stream: Stream,
    plan: Plan,
    objective: Objective,
    first: int,
    replica: int,
    device: str,
    dropout: bool = False,
) -> Iterator[Batch]:
    """The micro-batches of one replica for the step that begins at a sample, on the CPU.

    Args:
        stream: the order of training.
        plan: the layout.
        objective: makes examples of rows.
        first: number of the step's first sample.
        replica: which replica's part.
        device: where the tensors will go; those for a GPU are made in pinned memory, from which
            a copy keeps nobody waiting.
        dropout: whether the keys of `dslm.model.dropout` follow the inputs.
    """
    count = plan.micro_batch * plan.accumulation
    samples = stream.samples(first + replica * count, count)
    for begin in range(0, count, plan.micro_batch):
        micro = samples[begin : begin + plan.micro_batch]
        batch = objective.batch(micro)
        if dropout:
            seed = objective.context.seed
            batch = _with_keys(batch, sample_bits(seed, micro.numbers, RandomStream.DROPOUT))
        yield batch if device == "cpu" else moved(batch, lambda tensor: tensor.pin_memory())


def validation_batches(
    source: RowSource,
    rows: int,
    plan: Plan,
    make: Callable[[Samples], Batch],
    replica: int,
    device: str,
    dropout: bool = False,
) -> list[Batch]:
    """The micro-batches of one replica for an evaluation on the first rows of a shard set.

    All replicas get the same number; those past the end repeat a row without labels. With `dropout`
    keys that nobody reads follow the inputs, as pipeline stages exchange what they do in training.

    Args:
        source: the rows of the shard set.
        rows: how many of them.
        plan: the layout.
        make: makes examples of rows, see `Objective.held_out`.
        replica: which replica's part.
        device: where the tensors go.
        dropout: whether the model has any.
    """
    a_round = plan.micro_batch * plan.replicas
    rounds = -(-rows // a_round)
    batches = []
    for first in range(replica * plan.micro_batch, rounds * a_round, a_round):
        inputs, labels = make(ordered(source, first, plan.micro_batch))
        batch = inputs, each(labels, partial(_without_rows_from, rows - first))
        if dropout:
            batch = _with_keys(batch, np.zeros(plan.micro_batch, dtype=np.uint64))
        batches.append(moved(batch, lambda tensor: tensor.to(device)))
    return batches


def _with_keys(batch: Batch, keys: UInt64Array) -> Batch:
    """A batch, and a key for each row as the last of its inputs."""
    import torch

    inputs, labels = batch
    more = torch.from_numpy(keys.view(np.int64))
    return ((*inputs, more) if isinstance(inputs, tuple) else (inputs, more)), labels


def _without_rows_from(first: int, labels: Tensor) -> Tensor:
    labels[max(0, first) :] = IGNORE
    return labels


def moved(batch: Batch, move: Callable[[Tensor], Tensor]) -> Batch:
    """A batch with every tensor moved."""
    inputs, labels = batch
    return each(inputs, move), each(labels, move)


def evaluation_rows(shards: ShardSet, objective: Objective) -> RowSource:
    """The rows of a shard set on which an objective is evaluated."""
    return objective.source(shards) or Windows(shards, objective.window)


def evenly(source: RowSource, rows: int) -> Iterator[Samples]:
    """So many rows of a shard set, or all if there are fewer, evenly spread; some at a time."""
    rows = min(rows, len(source))
    numbers = np.arange(rows, dtype=np.int64) * len(source) // max(rows, 1)
    at_once = max(1, TOKENS // source.width)
    for first in range(0, rows, at_once):
        yield chosen(source, numbers[first : first + at_once])
