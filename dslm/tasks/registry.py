"""What can be trained for by name: the tasks, and the objectives of pretraining; their settings."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.config.table import class_of, with_fields
from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.objectives.base import Context, Objective
from dslm.objectives.registry import OBJECTIVES
from dslm.tasks.base import Task

KINDS = (
    "classification",
    "tagging",
    "choice",
    "questions",
    "text_to_text",
)
"""The modules of the tasks, which are their kinds as well."""

TASKS: dict[str, type[Task]] = {kind: class_of(__package__, kind) for kind in KINDS}
LEARNED: dict[str, type[Objective]] = {**OBJECTIVES, **TASKS}
"""Everything a model can be trained for; the first is the default."""
DEFAULT = next(iter(LEARNED))


def _meaning() -> str:
    return " ".join(f"{kind}: {objective.meaning}." for kind, objective in LEARNED.items())


def _settings(kind: str) -> tuple[type[Any], Any]:
    config, meaning = LEARNED[kind].config, f"Settings of objective.kind={kind}."
    return config, Field(default_factory=config, description=meaning)


@dataclass(config=STRICT, frozen=True, kw_only=True)
@with_fields(
    {
        "kind": (Literal[tuple(LEARNED)], Field(default=DEFAULT, description=_meaning())),
        **{kind: _settings(kind) for kind in LEARNED},
    }
)
class ObjectiveConfig:
    """What the model learns to predict: a kind, and under the name of each kind its settings."""

    kind: str = DEFAULT

    @property
    def selected(self) -> type[Objective]:
        """The objective of this kind."""
        return LEARNED[self.kind]

    @property
    def settings(self) -> Any:
        """The settings of this kind."""
        return getattr(self, self.kind)


def make_objective(config: ObjectiveConfig, context: Context) -> Objective:
    """The objective of a run."""
    return config.selected(config.settings, context)


def check_objective(config: ObjectiveConfig, model: ModelConfig) -> list[Problem]:
    """What contradicts itself between objective and model."""
    problems = [
        Problem(
            f"objective.{kind}",
            None,
            f"is set, but objective.kind is {config.kind}",
            f"leave it out or set objective.kind={kind}",
        )
        for kind, objective in LEARNED.items()
        if kind != config.kind and getattr(config, kind) != objective.config()
    ]
    return problems + config.selected.check(config.settings, model)
