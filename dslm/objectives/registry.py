"""The objectives by name; a new one is a file, a line in `OBJECTIVES` and its settings here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.objectives.autoencoder import Autoencoder, AutoencoderSettings
from dslm.objectives.causal import Causal, CausalSettings
from dslm.objectives.denoising import Denoising, DenoisingSettings
from dslm.objectives.masked import Masked, MaskedSettings
from dslm.objectives.protocol import Context, Objective

OBJECTIVES: dict[str, type[Objective]] = {
    "causal": Causal,
    "masked": Masked,
    "denoising": Denoising,
    "autoencoder": Autoencoder,
}

NO_CODE = {"code_length": 0, "code_width": None, "decoder_layers": None, "output": "scores"}
"""What a model has that is no autoencoder."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ObjectiveConfig:
    """What the model learns to predict."""

    kind: Literal["causal", "masked", "denoising", "autoencoder"] = "causal"
    """causal: each token from those before it. masked: hidden tokens from all others. denoising: a
    text from what is left of it. autoencoder: a text from a code that it was made into."""
    causal: CausalSettings = Field(default_factory=CausalSettings)
    """Settings of the causal objective."""
    masked: MaskedSettings = Field(default_factory=MaskedSettings)
    """Settings of the masked objective."""
    denoising: DenoisingSettings = Field(default_factory=DenoisingSettings)
    """Settings of the denoising objective."""
    autoencoder: AutoencoderSettings = Field(default_factory=AutoencoderSettings)
    """Settings of the autoencoder."""

    @property
    def own(self) -> Any:
        """The settings of the kind that is chosen."""
        return getattr(self, self.kind)


def make_objective(config: ObjectiveConfig, context: Context) -> Objective:
    """The objective of a run."""
    return OBJECTIVES[config.kind](config.own, context)


def model_of(config: ObjectiveConfig) -> dict[str, Any]:
    """The settings of a model that an objective decides."""
    without = {} if config.kind == "autoencoder" else NO_CODE
    return {**without, **OBJECTIVES[config.kind].model(config.own)}


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
    if config.kind == "autoencoder" and not model.code_length:
        rule, fix = "objective.kind = autoencoder needs a code", "set it to its vectors for a row"
        problems.append(Problem("model.code_length", 0, rule, fix))
    return problems
