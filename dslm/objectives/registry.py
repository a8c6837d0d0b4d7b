"""The objectives by name, and the settings that follow from the table."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.objectives.autoencoder import Autoencoder
from dslm.objectives.base import Context, Objective, Refusals
from dslm.objectives.causal import Causal
from dslm.objectives.denoising import Denoising
from dslm.objectives.masked import Masked

T = TypeVar("T")

OBJECTIVES: dict[str, type[Objective]] = {
    objective.kind: objective
    for objective in (
        Causal,
        Masked,
        Denoising,
        Autoencoder,
    )
}
"""Each by its kind; the first is the default."""


def _completed(cls: type[T]) -> type[T]:
    """Give a class the fields that follow from the table: `kind`, and the settings of each kind."""
    meanings = " ".join(f"{kind}: {objective.meaning}." for kind, objective in OBJECTIVES.items())
    fields = {"kind": Field(default=next(iter(OBJECTIVES)), description=meanings)}
    cls.__annotations__ = {"kind": Literal[tuple(OBJECTIVES)]}
    for kind, objective in OBJECTIVES.items():
        meaning = f"Settings of objective.kind={kind}."
        fields[kind] = Field(default_factory=objective.config, description=meaning)
        cls.__annotations__[kind] = objective.config
    for name, field in fields.items():
        setattr(cls, name, field)
    return cls


@dataclass(config=STRICT, frozen=True, kw_only=True)
@_completed
class ObjectiveConfig:
    """What the model learns to predict: a kind, and under the name of each kind its settings."""

    kind: str = next(iter(OBJECTIVES))

    @property
    def selected(self) -> type[Objective]:
        """The objective of this kind."""
        return OBJECTIVES[self.kind]

    @property
    def settings(self) -> Any:
        """The settings of this kind."""
        return getattr(self, self.kind)


def make_objective(config: ObjectiveConfig, context: Context) -> Objective:
    """The objective of a run."""
    return config.selected(config.settings, context)


def model_of(config: ObjectiveConfig) -> dict[str, Any]:
    """The settings of a model that an objective decides."""
    return config.selected.model(config.settings)


def refused_by(config: ObjectiveConfig) -> Refusals:
    """The settings of the data that do not go with an objective."""
    return config.selected.refuses(config.settings)


def check_objective(config: ObjectiveConfig, model: ModelConfig) -> list[Problem]:
    """What contradicts itself between objective and model."""
    problems = [
        Problem(
            f"objective.{kind}",
            None,
            f"is set, but objective.kind is {config.kind}",
            f"leave it out or set objective.kind={kind}",
        )
        for kind, objective in OBJECTIVES.items()
        if kind != config.kind and getattr(config, kind) != objective.config()
    ]
    return problems + config.selected.check(config.settings, model)
