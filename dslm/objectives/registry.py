"""The objectives by name; a new one is a file, a line in `OBJECTIVES` and its settings here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.objectives.autoencoder import Autoencoder, AutoencoderConfig
from dslm.objectives.causal import Causal, CausalConfig
from dslm.objectives.denoising import Denoising, DenoisingConfig
from dslm.objectives.masked import Masked, MaskedConfig
from dslm.objectives.protocol import Context, Objective

OBJECTIVES: dict[str, type[Objective]] = {
    "causal": Causal,
    "masked": Masked,
    "denoising": Denoising,
    "autoencoder": Autoencoder,
}

NO_CODE = {
    "bottleneck_length": 0,
    "bottleneck_width": None,
    "decoder_layers": None,
    "output": "scores",
}
"""What a model has that is no autoencoder."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the model learns to predict."""

    kind: Literal["causal", "masked", "denoising", "autoencoder"] = "causal"
    """causal: each token from those before it. masked: hidden tokens from all others. denoising: a
    text from what is left of it. autoencoder: a text from a code that it was made into."""
    causal: CausalConfig = Field(default_factory=CausalConfig)
    """Settings of the causal objective."""
    masked: MaskedConfig = Field(default_factory=MaskedConfig)
    """Settings of the masked objective."""
    denoising: DenoisingConfig = Field(default_factory=DenoisingConfig)
    """Settings of the denoising objective."""
    autoencoder: AutoencoderConfig = Field(default_factory=AutoencoderConfig)
    """Settings of the autoencoder."""

    @property
    def chosen(self) -> Any:
        """The settings of the kind that is chosen."""
        return getattr(self, self.kind)


def make_objective(config: ObjectiveConfig, context: Context) -> Objective:
    """The objective of a run."""
    return OBJECTIVES[config.kind](config.chosen, context)


def model_of(config: ObjectiveConfig) -> dict[str, Any]:
    """The settings of a model that an objective decides."""
    without = {} if config.kind == "autoencoder" else NO_CODE
    return {**without, **OBJECTIVES[config.kind].model(config.chosen)}


def check_objective(config: ObjectiveConfig, model: Any) -> list[Problem]:
    """What contradicts itself between objective and model."""
    problems = [
        Problem(
            f"objective.{kind}",
            None,
            f"is set, but objective.kind is {config.kind}",
            f"leave it out or set objective.kind={kind}",
        )
        for kind, objective in OBJECTIVES.items()
        if kind != config.kind and getattr(config, kind) != type(getattr(config, kind))()
    ]
    for key, value in model_of(config).items():
        if (found := getattr(model, key)) != value:
            rule = f"objective.kind = {config.kind} needs {value!r}"
            problems.append(Problem(f"model.{key}", found, rule, "leave it out"))
    if config.kind == "autoencoder" and not model.bottleneck_length:
        rule, fix = "objective.kind = autoencoder needs a code", "set it to its vectors for a row"
        problems.append(Problem("model.bottleneck_length", 0, rule, fix))
    return problems
