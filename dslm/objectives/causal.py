"""Causal language modelling: predict each token from those before it (Radford et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.objectives.base import Context, Objective, Refusals
from dslm.objectives.batch import IGNORE, Batch, as_batch, position_ids
from dslm.objectives.fill_in_middle import DRAWS, SENTINELS, documents_of, middle_last
from dslm.sampling.stateless_random import RandomStream, stateless_random
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.shard_set import ShardSet


@dataclass(config=STRICT, frozen=True, kw_only=True)
class CausalConfig:
    """Causal language modelling."""

    fill_in_middle: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the documents of a row of which the middle is predicted after what comes before and
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
        """Nothing: documents can be kept apart, and only within them is text moved."""
        return {}

    def check_shards(self, shards: ShardSet) -> list[Problem]:
        """Whether the documents within which text is moved can be told from each other."""
        ends = shards.documents == 1 or "eos" in self.context.vocabulary.special
        if ends or not self.settings.fill_in_middle:
            return []
        rule = "has documents without ends, as its tokenizer has no id for them"
        fix = "shard it as one document, or with a tokenizer that has <eos>; or leave that out"
        where = f"objective.causal.fill_in_middle: {shards.folder}"
        return [Problem(where, None, rule, fix)]

    def batch(self, samples: Samples) -> Batch:
        """Rows [B, S + 1], of which some documents have their middle last, as inputs and labels."""
        return self._rearranged(self.settings.fill_in_middle, samples)

    def held_out(self) -> Mapping[str, Callable[[Samples], Batch]]:
        """The text as it is; beside it, if that is learned, with all its documents rearranged."""
        if not self.settings.fill_in_middle:
            return super().held_out()
        return {"loss": self._next_tokens, "fim_loss": partial(self._rearranged, 1.0)}

    def _next_tokens(self, samples: Samples) -> Batch:
        """Split rows [B, S + 1] into inputs [B, S] and labels [B, S]."""
        rows, text = samples.tokens.astype(np.int64), samples.text
        inputs, labels = rows[:, :-1], np.where(text, rows, IGNORE)[:, 1:]
        tensors = [inputs]
        if self.context.borders:
            # The end of a document begins the next one, whose first token has so a predecessor.
            end, begin = self.context.vocabulary.special["eos"], self.context.vocabulary.begin
            ends = text[:, :-1] & (inputs == end)
            documents = 1 + np.cumsum(ends, axis=1)
            if begin and end not in begin:  # which has a predecessor of its own
                documents -= ends
            tensors += [documents, position_ids(documents)]
        return as_batch(tensors, [labels])

    def _rearranged(self, share: float, samples: Samples) -> Batch:
        """The same with a share of the documents rearranged."""
        if not share:
            return self._next_tokens(samples)
        context, special = self.context, self.context.vocabulary.special
        begin, end = special.get("bos"), special.get("eos")
        shares = share, self.settings.suffix_first
        rows = samples.tokens.astype(np.int64)
        texts = [row[kept] for row, kept in zip(rows, samples.text, strict=True)]
        documents = [documents_of(text, end) for text in texts]
        most, lengths = max(map(len, documents)), []
        draws = stateless_random(context.seed, samples.numbers, DRAWS * most, RandomStream.CUTS)
        for row, found, drawn in zip(rows, documents, draws, strict=True):
            mine = drawn.reshape(-1, DRAWS)[: len(found)]
            made = middle_last(found, row.size, mine, shares, context.vocabulary.size, begin, end)
            row[: made.size] = made
            lengths.append(made.size)
        return self._next_tokens(Samples(rows, samples.numbers, samples.indices, np.array(lengths)))
