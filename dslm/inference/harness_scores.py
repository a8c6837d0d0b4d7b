"""What a run scores in tasks of lm-eval, each metric with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from numbers import Real
from typing import Any

import numpy as np

from dslm.inference.harness import Harnessed
from dslm.inference.trained import Trained
from dslm.metrics.bootstrap import Estimate, Records, estimate
from dslm.progress import counted

SLOW = ("bleu", "chrf", "chrf++", "ter")
"""Metrics of whole texts, of which fewer resamples are made, as by lm-eval."""


@dataclass(frozen=True)
class Result:
    """What was measured by a task, or of a group of tasks."""

    name: str
    shots: int
    limit: int | None
    """The first of its examples, if not all."""
    version: str
    examples: int
    estimates: Mapping[str, Estimate]
    """By metric and filter; of a group without intervals."""

    @property
    def title(self) -> str:
        """Which task it is, as people cite it."""
        first = f", first {self.limit}" if self.limit else ""
        return f"{self.name}, {self.shots}-shot{first}"

    @property
    def question(self) -> str:
        """What the answer depends on beside the model."""
        return f"{self.title}, version {self.version}"

    @property
    def figures(self) -> dict[str, float]:
        """The metrics alone."""
        return {name: one.value for name, one in self.estimates.items()}

    def record(self) -> dict[str, Any]:
        """All of it, to be written as JSON."""
        intervals = {
            f"{name}_95": [one.low, one.high]
            for name, one in self.estimates.items()
            if one.low == one.low
        }
        what = {"num_fewshot": self.shots, "version": self.version, "examples": self.examples}
        return {**self.figures, **intervals, **what}

    def lines(self) -> Iterator[str]:
        """All of it, for a terminal."""
        yield f"{self.title}, {counted(self.examples, 'example')}"
        width = max(map(len, self.estimates), default=0)
        for name, one in self.estimates.items():
            interval = f"  ({one.low:.4f} – {one.high:.4f})" if one.low == one.low else ""
            yield f"  {name.replace('_', ' '):<{width}}  {one.value:.4f}{interval}"


@dataclass(frozen=True)
class Measured:
    """The results of all tasks."""

    results: Sequence[Result]
    shortened: int
    """How many texts the model has seen only the end of."""
    version: str
    """That of lm-eval."""


def measure(
    trained: Trained, tasks: Sequence[Any], shots: int | None = None, limit: int | None = None
) -> Measured:
    """Run tasks.

    Args:
        trained: a model that continues texts.
        tasks: from `dslm.inference.harness_tasks.find_tasks`.
        shots: examples before each question; what the task says unless given.
        limit: how many questions of each task; all unless given.

    Raises:
        UserError: a text cannot be scored by this model.
    """
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    model = Harnessed(trained)
    by_name = TaskManager(include_defaults=False).load([*tasks])["tasks"]
    found: Any = simple_evaluate(
        model,
        tasks=[*tasks],
        num_fewshot=shots,
        limit=limit,
        bootstrap_iters=0,  # the intervals are ours
        task_manager=TaskManager(include_defaults=False),
    )
    results = [_result(found, name, _estimates(found, task)) for name, task in by_name.items()]
    for name, figures in found.get("groups", {}).items():
        results.append(_result(found, name, _of_group(figures)))
    return Measured(results, model.shortened, version("lm_eval"))


def _result(found: Mapping[str, Any], name: str, estimates: Mapping[str, Estimate]) -> Result:
    examples = found["results"][name].get("sample_len", 0)
    shots = found["n-shot"].get(name, 0)
    limit, by = found["config"]["limit"], str(found["versions"].get(name))
    return Result(name, shots, limit, by, examples, estimates)


def _estimates(found: Mapping[str, Any], task: Any) -> dict[str, Estimate]:
    """The metrics of a task, drawn again from what each of its examples gave."""
    estimates = {}
    for key, value in found["results"][task.task_name].items():
        metric, comma, kind = key.partition(",")
        if not comma or not _is_figure(value):
            continue
        samples = [one for one in found["samples"][task.task_name] if one["filter"] == kind]
        given = [one[metric] for one in samples if metric in one]
        items = np.empty(len(given), dtype=object)
        for place, one in enumerate(given):  # which may be a tuple
            items[place] = one
        aggregate = task.aggregation().get(metric, np.mean)
        resamples = 100 if metric in SLOW else 1000
        estimates[_named(metric, kind)] = estimate(items, _of(aggregate), 0, resamples)
    return estimates


def _of(aggregate: Callable[[Any], Any]) -> Callable[[Records], float]:
    return lambda items: float(aggregate(list(items)))


def _of_group(figures: Mapping[str, Any]) -> dict[str, Estimate]:
    """What the tasks of a group give together."""
    nan = float("nan")
    return {
        _named(*key.split(",", 1)): Estimate(float(value), nan, nan, figures.get("sample_len", 0))
        for key, value in figures.items()
        if "," in key and _is_figure(value)
    }


def _named(metric: str, kind: str) -> str:
    return metric if kind == "none" else f"{metric},{kind}"


def _is_figure(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
