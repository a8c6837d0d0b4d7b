"""The classical autoencoder: a text through a bottleneck and back (Hinton & Salakhutdinov 2006).

The path of a row: a window of text, in which some tokens may be hidden (Vincent et al. 2008,
denoising autoencoders), goes through encoder, code and decoder, see `dslm.model.bottleneck`;
predicted is every token of the text itself: by its id, or by its embedding. Without a code an
encoder–decoder does the same (Sutskever et al. 2014): all of the encoder's output takes the place
of the code, and the text is written token by token behind `begin`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.model.config import NO_CLASSES, ModelConfig
from dslm.objectives.base import Context, Objective
from dslm.objectives.batch import IGNORE, Batch, as_batch
from dslm.objectives.masking import select_tokens
from dslm.sampling.stateless_random import stateless_random
from dslm.sampling.stream import Samples

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(config=STRICT, frozen=True, kw_only=True)
class AutoencoderConfig:
    """The autoencoder."""

    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    """How what comes back is compared: its scores with the token ids, or its vectors with the
    embeddings of the tokens."""
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the tokens that are hidden from the encoder; all are predicted."""

    @property
    def vectors(self) -> bool:
        """Whether vectors are compared."""
        return self.loss == "squared_error"


class Autoencoder(Objective):
    """A window of text is to come back whole."""

    kind = "autoencoder"
    meaning = "a text from a code that it was made into"
    config = AutoencoderConfig
    settings: AutoencoderConfig

    def __init__(self, settings: AutoencoderConfig, context: Context) -> None:
        super().__init__(settings, context)
        special, vectors = context.vocabulary.special, settings.vectors
        self.mask = special.get("mask", context.vocabulary.size)
        self.extra_ids = 1 if settings.noise and "mask" not in special else 0
        self.begin = context.vocabulary.size + self.extra_ids
        self.extra_ids += context.two_stacks
        padding = ("visibility",) if context.padded else ()
        targets = ("targets",) if context.two_stacks else ()
        self.extras = (*padding, *targets, *(("originals",) if vectors else ()))
        tokens = ("restored_loss", "restored_accuracy")
        self.measures = ("explained_variance",) if vectors else tokens

    @classmethod
    def model(cls, settings: AutoencoderConfig) -> dict[str, Any]:
        """Encoder and decoder see the whole row; between them is a code of any size."""
        output = "vectors" if settings.vectors else "scores"
        return {
            "attention": "full",
            "transform": False,
            "pair_head": False,
            "output": output,
            **NO_CLASSES,
        }

    @classmethod
    def token_loss(cls, settings: AutoencoderConfig) -> str | None:
        """None where vectors are compared."""
        return None if settings.vectors else "loss"

    @classmethod
    def smooths(cls, settings: AutoencoderConfig) -> bool:
        """Not where vectors are compared."""
        return not settings.vectors

    @classmethod
    def check(cls, settings: AutoencoderConfig, model: ModelConfig) -> list[Problem]:
        """Also, that there is a code, or an encoder before a decoder."""
        problems = super().check(settings, model)
        if not model.bottleneck_length and not model.encoder_layers:
            rule = f"objective.kind = {cls.kind} needs a code"
            fix = "set it to its vectors for a row, or model.encoder_layers for two stacks"
            problems.append(Problem("model.bottleneck_length", 0, rule, fix))
        return problems

    def batch(self, samples: Samples) -> Batch:
        """Inputs: tokens [B, S], and what `extras` names. Labels: the tokens themselves [B, S]."""
        rows, text = samples.tokens.astype(np.int64), samples.text
        inputs = rows
        if self.settings.noise:
            draws = partial(stateless_random, self.context.seed, samples.numbers)
            hidden, _ = select_tokens(rows, text, self.settings.noise, "token", None, draws)
            inputs = np.where(hidden, self.mask, rows)
        extras = {"visibility": -text.astype(np.int64), "originals": rows}
        extras["targets"] = np.insert(rows[:, :-1], 0, self.begin, axis=1)
        labels = np.where(text, rows, IGNORE)
        return as_batch([inputs, *(extras[name] for name in self.extras)], [labels])

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """The sum over tokens of the loss of each.

        That is its negative log-likelihood in nats, or the squared distance of its vector from its
        embedding.
        """
        from dslm.objectives.squared_error import squared_error

        if not self.settings.vectors:
            return super().loss(outputs, labels)
        predicted, targets = outputs
        return squared_error(predicted, targets, labels)[None]

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy over all tokens, or the share of the variance that is explained."""
        from dslm.objectives.squared_error import explained_variance

        if not self.settings.vectors:
            return super().measure(outputs, labels)
        predicted, targets = outputs
        return explained_variance(predicted, targets, labels)

    def completion(self) -> None:
        """A text is made of the whole of itself, never of its beginning."""
