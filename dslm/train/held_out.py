"""How good a model in training is on the held-out shard set: the loss, and what else is measured.

Of a task every validation measures the metrics, too: each replica predicts its rows, and the first
rank scores all of them together, so that no layout changes a metric.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from dslm.errors import DataError
from dslm.parallel.engine import Engine
from dslm.parallel.gather import gather_bytes
from dslm.run.best import LOSS, Measured
from dslm.shards.labels import reference_of, task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tasks.example import Prediction
from dslm.train.batches import evaluation_rows, validation_batches
from dslm.train.prepare import Job
from dslm.train.validated import validated, validation_rows


def held_out(
    job: Job, shards: ShardSet, engine: Engine, device: str
) -> tuple[Measured, dict[str, float]]:
    """Measure; every rank must call it.

    Args:
        job: what is trained.
        shards: the text.
        engine: the model, laid out.
        device: torch's name of this rank's device.

    Returns:
        The loss, and by what the best model may be chosen; and by their names the other losses,
        what the objective measures, and the metrics of a task; where the layers round,
        ``float_loss`` is the loss if they did not.

    Raises:
        Stopped: some rank was asked to stop in the middle.
    """
    config, objective = job.config, job.objective
    source = evaluation_rows(shards, objective)
    rows = validation_rows(config, len(source))
    dropout = config.model.dropout > 0

    def measured(make: Callable[..., Any]) -> float:
        batches = validation_batches(source, rows, job.plan, make, engine.replica, device, dropout)
        return engine.mean(engine.evaluate(batches, engine.stop.check))

    losses, makers, names = {}, objective.held_out(), validated(objective, shards)
    engine.collect(False)
    with _predictions(engine, names) as predicted:
        for name, make in makers.items():
            engine.loss_function.collect = name == LOSS
            losses[name] = measured(make)
    loss, others = losses.pop(LOSS), {**losses, **engine.measures()}
    if predicted is not None:
        others |= _scored(job, shards, rows, engine, predicted)
    if engine.quantizer is not None and engine.quantizer.on:
        engine.loss_function.collect = False
        with engine.quantizer.paused():
            others["float_loss"] = measured(makers[LOSS])
    metrics = {name: others[name] for name in names if name in others}
    by = config.best_by or LOSS
    return Measured(loss, shards.fingerprint, rows, metrics, by), others


@contextmanager
def _predictions(engine: Engine, metrics: Sequence[str]) -> Iterator[list[Prediction] | None]:
    """The predictions of this rank for the rows measured within; `None` where none are needed."""
    task, found = engine.loss_function.objective, list[Prediction]()
    if not metrics:
        yield None
        return
    assert isinstance(task, Task)

    def observe(outputs: Any, labels: Any) -> None:
        if engine.rows is not None:
            outputs, labels = map(engine.rows.whole, (outputs, labels))
        found.extend(task.predicted(outputs, labels))

    engine.loss_function.observe = observe
    try:
        yield found
    finally:
        engine.loss_function.observe = None


def _scored(
    job: Job, shards: ShardSet, rows: int, engine: Engine, predicted: Sequence[Prediction]
) -> dict[str, float]:
    """The metrics of the predictions of all ranks; the first rank computes them."""
    device = engine.engine.device
    own = json.dumps([engine.replica, predicted]).encode() if engine.computes_loss else b""
    parts = dict(map(json.loads, filter(None, gather_bytes(own, device))))
    found = b""
    if torch.distributed.get_rank() == 0:
        whole = _in_order([parts[one] for one in range(job.plan.replicas)], job.plan.micro_batch)
        found = json.dumps(_figures(job, shards, whole[:rows])).encode()
    metrics: dict[str, float] = json.loads(gather_bytes(found, device)[0])
    return metrics


def _in_order(parts: Sequence[Sequence[Any]], micro_batch: int) -> list[Prediction]:
    """The predictions of all replicas in the order of their rows, see `validation_batches`."""
    rounds = range(0, len(parts[0]), micro_batch)
    return [
        Prediction(*one)
        for first in rounds
        for part in parts
        for one in part[first : first + micro_batch]
    ]


def _figures(job: Job, shards: ShardSet, found: Sequence[Prediction]) -> dict[str, float]:
    """The metrics that are defined: no correlation is, of equal numbers or of a single one."""
    task, labelled = job.objective, task_of(shards)
    assert isinstance(task, Task)
    assert labelled is not None
    references = [reference_of(shards, number) for number in range(len(found))]
    if len(found) < shards.documents:
        # What follows may be of the last record, which is then left out.
        more = task.groups([*references, reference_of(shards, len(found))])
        whole = len(found) if len(more[-1]) == 1 else more[-1][0]
        found, references = found[:whole], references[:whole]
    try:
        records = list(task.of_records(found, references))
        scores = task.scores(records, labelled.classes, job.config.seed, resamples=0)
    except DataError:
        return {}
    return {name: one.value for name, one in scores.items() if math.isfinite(one.value)}
