"""What validation measures, on how many rows, and by what of it the best checkpoint is chosen."""

from __future__ import annotations

from dataclasses import replace

from dslm.errors import Problem
from dslm.objectives.base import Objective
from dslm.run.best import LOSS
from dslm.run.config import RunConfig
from dslm.shards.labels import task_of
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.train.data import Sources

WINDOWS = 1000
"""Windows of text that are measured unless another number is set."""


def validated(objective: Objective, shards: ShardSet) -> tuple[str, ...]:
    """The metrics that every validation measures, the most telling one first.

    None of text, nor of a task whose predictions are written token by token, which takes too long.
    """
    task = task_of(shards)
    if task is None or not isinstance(objective, Task) or objective.writes:
        return ()
    return objective.metrics(task.classes)


def validation_rows(config: RunConfig, rows: int) -> int:
    """On how many of the rows of a held-out set is measured."""
    most = config.data.validation_windows
    return rows if most is None else min(rows, most)


def with_validation(config: RunConfig, objective: Objective, sources: Sources) -> RunConfig:
    """The settings with what validation measures filled in.

    Text is measured on `WINDOWS` windows, a task on all examples, and its first metric decides.
    """
    if config.data.validation_windows is None and not isinstance(objective, Task):
        config = replace(config, data=replace(config.data, validation_windows=WINDOWS))
    if sources.validation is None or config.best_by is not None:
        return config
    metrics = validated(objective, sources.validation)
    return replace(config, best_by=metrics[0] if metrics else None)


def check_validation(config: RunConfig, objective: Objective, sources: Sources) -> list[Problem]:
    """Whether `best_by` is measured, and whether all sets of examples have the same classes."""
    problems = []
    if sources.validation is not None and config.best_by is not None:
        known = (LOSS, *validated(objective, sources.validation))
        if config.best_by not in known:
            rule = f"is not measured where objective.kind = {objective.kind}"
            problems.append(Problem("best_by", config.best_by, rule, _choices(known)))
    classes = {str(one.folder): task.classes for one in sources.all if (task := task_of(one))}
    first = next(iter(classes.values()), ())
    for folder, own in classes.items():
        if own != first:
            rule = f"its classes are {', '.join(own)}, but those trained on {', '.join(first)}"
            fix = "give the file of records to launch/fine_tune.py, which knows the classes"
            problems.append(Problem(folder, None, rule, fix))
    return problems


def _choices(known: tuple[str, ...]) -> str:
    return f"choose from {', '.join(known)}" if len(known) > 1 else "leave it out"
