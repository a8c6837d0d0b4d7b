"""A task in config.json: what its classes are called, and what a label is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import ConfigError, Problem
from dslm.hub.folder import Folder
from dslm.hub.variants import CLASSES, NAMES
from dslm.inference.selection import classes_of
from dslm.inference.trained import Trained
from dslm.run.config import RunConfig
from dslm.tasks.base import Task

PROBLEM = "problem_type"
PROBLEMS = {
    "one": "single_label_classification",
    "several": "multi_label_classification",
    "amount": "regression",
}
"""Their words for what a label is, by ours."""


def task_of(config: RunConfig) -> str:
    """The kind of task whose classes a model scores; none where it scores token ids."""
    return config.objective.kind if config.model.classes else ""


def check_labels(trained: Trained) -> list[Problem]:
    """What of a run's labels config.json cannot say."""
    count = trained.config.model.classes
    if count != 1 or _labels(trained) != "one":
        return []
    rule, fix = "transformers has no classes of which one is right below 2", "train with more"
    return [Problem("model.classes", count, rule, fix)]


def written_labels(trained: Trained) -> dict[str, Any]:
    """What config.json says of a task; nothing where there is none."""
    if not task_of(trained.config):
        return {}
    assert isinstance(trained.objective, Task)
    names = classes_of(trained.run, trained.objective)
    said = {NAMES: {str(number): name for number, name in enumerate(names)}}
    numbers = {"label2id": {name: number for number, name in enumerate(names)}}
    kind = PROBLEMS.get(_labels(trained))
    return {**said, **numbers, **({PROBLEM: kind} if kind else {})}


def read_labels(folder: Folder) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The settings of the task of a model, and what its classes are called.

    Raises:
        ConfigError: they are not understood.
    """
    settings, where = folder.settings, str(folder.path / "config.json")
    names = _names(settings, folder.config.classes, where)
    if folder.family.task != "classification":
        return {}, names
    several = "regression" if len(names) == 1 else PROBLEMS["one"]
    kind = settings.get(PROBLEM) or several
    ours = next((ours for ours, theirs in PROBLEMS.items() if theirs == kind), None)
    if ours is None:
        rule = f"dslm has only {', '.join(PROBLEMS.values())}"
        raise ConfigError(Problem(f"{where}: {PROBLEM}", kind, rule))
    if ours == "amount" and len(names) > 1:
        raise ConfigError(Problem(f"{where}: {CLASSES}", len(names), "dslm learns one amount"))
    return {"labels": ours, "pooler": folder.config.pooler}, names


def _labels(trained: Trained) -> str:
    """What a label is, by our word; none where the task has one kind only."""
    return getattr(trained.config.objective.settings, "labels", "")


def _names(settings: Mapping[str, Any], count: int, where: str) -> tuple[str, ...]:
    """What the classes are called, in the order of their numbers."""
    named = settings.get(NAMES) or {str(number): f"LABEL_{number}" for number in range(count)}
    numbers = [*map(str, range(count))]
    by_number = named if isinstance(named, dict) else {}
    names = tuple(str(by_number.get(number)) for number in numbers)
    if by_number.keys() != {*numbers} or len({*names}) < count:
        rule = f"must give each number from 0 to {count - 1} a name of its own"
        raise ConfigError(Problem(f"{where}: {NAMES}", None, rule))
    return names
