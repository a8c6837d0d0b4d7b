"""The loss of a model in training on the held-out shard set, and what else is measured there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dslm.parallel.engine import Engine
from dslm.run.best import Measured
from dslm.shards.shard_set import ShardSet
from dslm.train.batches import evaluation_rows, validation_batches
from dslm.train.prepare import Job


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
        The loss, and by their names the other losses and what the objective measures; where the
        layers round, ``float_loss`` is the loss if they did not.

    Raises:
        Stopped: some rank was asked to stop in the middle.
    """
    config, objective = job.config, job.objective
    source = evaluation_rows(shards, objective)
    rows = min(len(source), config.data.validation_windows)
    dropout = config.model.dropout > 0

    def measured(make: Callable[..., Any]) -> float:
        batches = validation_batches(source, rows, job.plan, make, engine.replica, device, dropout)
        return engine.mean(engine.evaluate(batches, engine.stop.check))

    losses, makers = {}, objective.held_out()
    engine.collect(False)
    for name, make in makers.items():
        engine.loss_function.collect = name == "loss"
        losses[name] = measured(make)
    loss, others = losses.pop("loss"), {**losses, **engine.measures()}
    if engine.quantizer is not None and engine.quantizer.on:
        engine.loss_function.collect = False
        with engine.quantizer.paused():
            others["float_loss"] = measured(makers["loss"])
    return Measured(loss, shards.fingerprint, rows), others
