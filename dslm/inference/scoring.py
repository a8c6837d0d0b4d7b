"""How well a model does its task: every example of a labelled set predicted, and scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dslm.errors import DataError, Problem
from dslm.inference.generate import Request
from dslm.inference.restore import targets
from dslm.inference.sampling import WritingConfig
from dslm.inference.trained import Trained
from dslm.metrics.bootstrap import Estimate
from dslm.objectives.completion import Restore
from dslm.progress import Progress
from dslm.shards.labels import labels_of, reference_of, task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tasks.example import Prediction
from dslm.train.batches import evaluation_rows, evenly, moved


@dataclass(frozen=True)
class Scored:
    """What a model predicted for the records of a set, in their order."""

    estimates: dict[str, Estimate]
    """The metrics of the task, the most telling one first."""
    predictions: list[Prediction]
    loss: float
    """The mean over everything that is scored."""
    losses: list[float]
    """The same of each example."""
    groups: list[list[int]]
    """The examples of each prediction."""


@torch.no_grad()
def score(
    trained: Trained,
    task: Task,
    shards: ShardSet,
    classes: Sequence[str],
    advance: Callable[[int], None] | None = None,
    writing: WritingConfig | None = None,
) -> Scored:
    """Predict and score.

    Args:
        trained: the model.
        task: its objective.
        shards: the examples.
        classes: those of its training.
        advance: called with the number of examples done.
        writing: how texts are written, of a task that writes.

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
    predictions, sums = list[Prediction](), list[torch.Tensor]()
    source = evaluation_rows(shards, task)
    for samples in evenly(source, len(source)):
        inputs, labels = moved(task.batch(samples), lambda tensor: tensor.to(trained.device))
        outputs = trained.model(inputs)
        predictions += [] if task.writes else task.predicted(outputs, labels)
        sums.append(_row_sums(task, outputs, labels))
        if advance is not None:
            advance(len(samples.numbers))
    if task.writes:
        predictions = _written(trained, task, shards, writing or WritingConfig())
    references = [reference_of(shards, number) for number in range(shards.documents)]
    records = list(task.of_records(predictions, references))
    estimates = task.scores(records, classes, trained.config.seed)
    rows = torch.cat(sums)
    total, losses = rows.sum(0), rows[:, 0] / rows[:, 1].clamp(min=1)
    mean, groups = float(total[0] / total[1]), task.groups(references)
    return Scored(estimates, records, mean, losses.tolist(), groups)


def _row_sums(task: Task, outputs: torch.Tensor, labels: Any) -> torch.Tensor:
    """[B, 2] float64: of each row the sum of its losses, and of how many; outputs are used up."""
    sums = []
    for row in range(len(outputs)):
        part = slice(row, row + 1)
        own = tuple(one[part] for one in labels) if isinstance(labels, tuple) else labels[part]
        counts = task.counts(own)
        sums.append(torch.stack([task.loss(outputs[part], own)[0], counts[0]]))
    return torch.stack(sums).double().cpu()


def _written(
    trained: Trained, task: Task, shards: ShardSet, writing: WritingConfig
) -> list[Prediction]:
    """What the model writes behind each source of a set, those of like length together."""
    how, sources = task.completion(), list[list[int]]()
    assert isinstance(how, Restore), "a task that writes restores the targets of its sources"
    for number in range(shards.documents):
        begin, end = shards.document(number)
        ids = shards.windows(np.array([begin]), end - begin)[0].tolist()
        sources += task.sources(ids, labels_of(shards, number).astype(int).tolist())
    texts, order = [""] * len(sources), sorted(range(len(sources)), key=lambda n: len(sources[n]))
    with Progress(len(sources), "texts", "writing") as progress:
        request = Request(writing.new_tokens, writing.sampling, ended=progress.advance)
        for start in range(0, len(order), writing.together):
            some = order[start : start + writing.together]
            for n, one in zip(
                some, targets(trained, how, [sources[n] for n in some], request), strict=True
            ):
                texts[n] = one.text
    return [Prediction(None, text) for text in texts]
