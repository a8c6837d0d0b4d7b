"""How well a model does its task: every example of a labelled set predicted, and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dslm.errors import DataError, Problem
from dslm.inference.trained import Trained
from dslm.metrics.bootstrap import Estimate
from dslm.shards.labels import reference_of, task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Prediction, Task
from dslm.train.batches import evaluation_rows, evenly, moved


@dataclass(frozen=True)
class Scored:
    """What a model predicted for the records of a set, in their order."""

    estimates: dict[str, Estimate]
    """The metrics of the task, the most telling one first."""
    predictions: list[Prediction]
    loss: float
    """The mean over everything that is scored."""


@torch.no_grad()
def score(
    trained: Trained,
    task: Task,
    shards: ShardSet,
    classes: Sequence[str],
    advance: Callable[[int], None] | None = None,
) -> Scored:
    """Predict and score.

    Args:
        trained: the model.
        task: its objective.
        shards: the examples.
        classes: those of its training.
        advance: called with the number of examples done.

    Raises:
        DataError: the set is not of this task, or its classes are others.
    """
    if problems := task.check_shards(shards):
        raise DataError(*problems)
    found = task_of(shards)
    if found and found.classes != tuple(classes):
        rule = f"its classes are {', '.join(found.classes)}, but those of the run"
        rule = f"{rule} {', '.join(classes)}"
        fix = "give the file of records, of which examples are made for this run"
        raise DataError(Problem(str(shards.folder), None, rule, fix))
    predictions, sums = list[Prediction](), torch.zeros(2, dtype=torch.float64)
    source = evaluation_rows(shards, task)
    for samples in evenly(source, len(source)):
        inputs, labels = moved(task.batch(samples), lambda tensor: tensor.to(trained.device))
        outputs = trained.model(inputs)
        predictions += task.predicted(outputs, labels)
        sums += torch.stack([task.loss(outputs, labels), task.counts(labels)], 1)[0].cpu()
        if advance is not None:
            advance(len(samples.numbers))
    references = [reference_of(shards, number) for number in range(shards.documents)]
    records = list(task.of_records(predictions, references))
    estimates = task.scores(records, classes, trained.config.seed)
    return Scored(estimates, records, float(sums[0] / sums[1]))
