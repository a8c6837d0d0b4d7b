"""Causal language modelling: predict each token from those before it (Radford et al. 2018)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.objectives.base import Context, Objective, Refusals
from dslm.objectives.batch import IGNORE, Batch, as_batch, position_ids
from dslm.objectives.fill_in_middle import SENTINELS, middle_last
from dslm.sampling.stateless_random import RandomStream, stateless_random
from dslm.sampling.stream import Samples, WindowSpec


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CausalConfig:
    """Causal language modelling."""

    fill_in_middle: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the rows in which the middle of a text is predicted after what comes before and
    behind it (Bavarian et al., "Efficient Training of Language Models to Fill in the Middle",
    2022)."""
    suffix_first: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of these in which what comes behind the middle is first (their SPM)."""


class Causal(Objective):
    """Rows of S + 1 tokens become S inputs and, one position on, S labels."""

    kind = "causal"
    meaning = "each token from those before it"
    config = CausalConfig
    covers_text = True
    settings: CausalConfig

    def __init__(self, settings: CausalConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.window = WindowSpec(context.sequence, overlap=1)
        self.extra_ids = SENTINELS if settings.fill_in_middle else 0
        self.extras = ("visibility", "position_ids") if context.borders else ()

    @classmethod
    def refuses(cls, settings: CausalConfig) -> Refusals:
        """Borders between documents, across which fill-in-the-middle moves text."""
        if not settings.fill_in_middle:
            return {}
        rule = "does not go with objective.causal.fill_in_middle, which moves text across borders"
        return {"document_borders": (rule, "use one of the two")}

    def batch(self, samples: Samples) -> Batch:
        """Split rows [B, S + 1] into inputs [B, S] and labels [B, S]."""
        rows, context = samples.tokens.astype(np.int64), self.context
        if share := self.settings.fill_in_middle:
            draws = stateless_random(context.seed, samples.numbers, 4, RandomStream.CUTS)
            first = self.settings.suffix_first
            rows = middle_last(rows, draws, share, first, context.vocabulary.size)
        inputs, labels = rows[:, :-1], rows[:, 1:]
        if samples.padding is not None:
            labels = np.where(labels == samples.padding, IGNORE, labels)
        tensors = [inputs]
        if context.borders:
            # The end of a document begins the next one, whose first token has so a predecessor.
            end, begin = context.vocabulary.special["eos"], context.vocabulary.begin
            documents = 1 + np.cumsum(inputs == end, axis=1)
            if begin and end not in begin:  # which has a first token without
                documents -= inputs == end
            tensors += [documents, position_ids(documents)]
        return as_batch(tensors, [labels])
