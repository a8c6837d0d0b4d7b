"""The objectives by name, and the settings that follow from the table."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.config.table import class_of, with_fields
from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.objectives.base import Context, Objective

KINDS = (
    "causal",
    "masked",
    "denoising",
    "autoencoder",
)
"""The modules of the objectives, which are their kinds as well; the first is the default."""

OBJECTIVES: dict[str, type[Objective]] = {kind: class_of(__package__, kind) for kind in KINDS}


def _meaning() -> str:
    return " ".join(f"{kind}: {objective.meaning}." for kind, objective in OBJECTIVES.items())


def _settings(kind: str) -> tuple[type[Any], Any]:
    config, meaning = OBJECTIVES[kind].config, f"Settings of objective.kind={kind}."
    return config, Field(default_factory=config, description=meaning)


@dataclass(config=STRICT, frozen=True, kw_only=True)
@with_fields(
    {
        "kind": (Literal[KINDS], Field(default=KINDS[0], description=_meaning())),
        **{kind: _settings(kind) for kind in KINDS},
    }
)
class ObjectiveConfig:
    """What the model learns to predict: a kind, and under the name of each kind its settings."""

    kind: str = KINDS[0]

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
