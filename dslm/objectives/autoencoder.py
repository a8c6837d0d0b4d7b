"""The classical autoencoder: a text through a bottleneck and back (Hinton & Salakhutdinov 2006).

The way of a row: a window of text, in which some tokens may be hidden (Vincent et al. 2008,
denoising autoencoders), goes through encoder, code and decoder, see `dslm.model.bottleneck`; asked
for is every token of the text itself: by its id, or by its embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.objectives.masking import MaskDraws, chosen
from dslm.objectives.protocol import IGNORE, Batch, Context
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(config=STRICT, frozen=True, kw_only=True)
class AutoencoderConfig:
    """The autoencoder."""

    loss: Literal["cross_entropy", "squared_error"] = "cross_entropy"
    """How what comes back is compared: its scores with the token ids, or its vectors with the
    embeddings of the tokens."""
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the tokens that are hidden from the encoder; all are asked for."""


class Autoencoder:
    """A window of text is to come back whole."""

    scored_fraction = 1.0

    def __init__(self, settings: AutoencoderConfig, context: Context) -> None:
        self.settings, self.context = settings, context
        self.vectors = settings.loss == "squared_error"
        special = context.vocabulary.special
        self.mask = special.get("mask", context.vocabulary.size)
        self.extra_ids = 1 if settings.noise and "mask" not in special else 0
        self.window_spec = WindowSpec(context.sequence)
        padding = ("visibility",) if context.padded else ()
        self.extras: tuple[str, ...] = (*padding, *(("originals",) if self.vectors else ()))
        told = ("explained_variance",) if self.vectors else ("restored_loss", "restored_accuracy")
        self.measures: tuple[str, ...] = told

    @staticmethod
    def model(settings: AutoencoderConfig) -> Mapping[str, Any]:
        """Encoder and decoder see the whole row; between them is a code of any size."""
        output = "vectors" if settings.loss == "squared_error" else "scores"
        return {"attention": "full", "transform": False, "pair_head": False, "output": output}

    def special(self) -> tuple[str, ...]:
        """None."""
        return ()

    def source(self, shards: ShardSet) -> None:
        """Windows or packed documents."""

    def batch(self, samples: Samples) -> Batch:
        """Inputs: tokens [B, S], and what `extras` names. Labels: the tokens themselves [B, S]."""
        import torch

        rows = samples.tokens.astype(np.int64)
        real = np.ones(rows.shape, dtype=np.bool_)
        if samples.padding is not None:
            real = rows != samples.padding
        inputs = rows
        if self.settings.noise:
            draws = MaskDraws(self.context.seed, samples.numbers)
            hidden, _ = chosen(rows, real, self.settings.noise, "token", None, draws)
            inputs = np.where(hidden, self.mask, rows)
        others = {"visibility": -real.astype(np.int64), "originals": rows}
        made = [torch.from_numpy(one) for one in (inputs, *(others[n] for n in self.extras))]
        labels = torch.from_numpy(np.where(real, rows, IGNORE))
        return (made[0] if len(made) == 1 else tuple(made)), labels

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """Mean over rows of each row's mean loss a token.

        That is its negative log-likelihood in nats, or the squared distance of its vector from its
        embedding.
        """
        from dslm.objectives.cross_entropy import cross_entropy
        from dslm.objectives.squared_error import squared_error

        if not self.vectors:
            return cross_entropy(outputs, labels)
        predicted, targets = outputs
        return squared_error(predicted, targets, labels)

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy over all tokens, or the share of the variance that is explained."""
        from dslm.objectives.cross_entropy import judged
        from dslm.objectives.squared_error import explained

        if not self.vectors:
            return judged(outputs, labels)
        predicted, targets = outputs
        return explained(predicted, targets, labels)
