"""Causal language modelling: predict each token from those before it (Radford et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.objectives.documents import places_of, visible
from dslm.objectives.fill_in_middle import SENTINELS, rearranged
from dslm.objectives.protocol import IGNORE, Batch, Context
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CausalConfig:
    """Causal language modelling."""

    fill_in_middle: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the rows in which the middle of a text is asked for after what stands before and
    behind it (Bavarian et al., "Efficient Training of Language Models to Fill in the Middle",
    2022)."""
    suffix_first: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of these in which what stands behind comes first (their SPM)."""


class Causal:
    """Rows of S + 1 tokens become S inputs and, one place on, S labels."""

    measures: tuple[str, ...] = ()
    scored_fraction = 1.0

    def __init__(self, settings: CausalConfig, context: Context) -> None:
        self.settings, self.context = settings, context
        middle = settings.fill_in_middle > 0
        self.extra_ids = SENTINELS if middle else 0
        self.window_spec = WindowSpec(context.sequence, overlap=1)
        self.extras: tuple[str, ...] = ("visibility", "position_ids") if context.borders else ()

    @staticmethod
    def model(settings: CausalConfig) -> Mapping[str, Any]:
        """A token sees those before it."""
        return {"attention": "causal", "transform": False, "pair_head": False}

    def special(self) -> tuple[str, ...]:
        """The end of a document is also where the next one is told from it."""
        return ("eos",) if self.context.borders else ()

    def source(self, shards: ShardSet) -> None:
        """Windows or packed documents."""

    def batch(self, samples: Samples) -> Batch:
        """Split rows [B, S + 1] into inputs [B, S] and labels [B, S]."""
        import torch

        rows, vocabulary = samples.tokens.astype(np.int64), self.context.vocabulary
        if share := self.settings.fill_in_middle:
            seed, first = self.context.seed, self.settings.suffix_first
            rows = rearranged(rows, samples.numbers, seed, vocabulary.size, share, first)
        inputs, labels = rows[:, :-1], rows[:, 1:]
        if samples.padding is not None:
            labels = np.where(labels == samples.padding, IGNORE, labels)
        tensors = [inputs]
        if self.context.borders:
            # The end of a document begins the next one, which so has a first token to be told by.
            documents = 1 + np.cumsum(inputs == vocabulary.special["eos"], axis=1)
            tensors += [visible(documents, causal=True), places_of(documents)]
        made = [torch.from_numpy(np.ascontiguousarray(array)) for array in (*tensors, labels)]
        return (made[0] if len(tensors) == 1 else tuple(made[:-1])), made[-1]

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """Mean negative log-likelihood of the labels in nats; see `cross_entropy`."""
        from dslm.objectives.cross_entropy import cross_entropy

        return cross_entropy(outputs, labels)

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Nothing."""
        import torch

        return torch.zeros(0, 2)
