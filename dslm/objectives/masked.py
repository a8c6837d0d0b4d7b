"""Masked language modelling, alone or with pairs of segments (Devlin et al. 2018).

A row is a window of text behind [CLS] (as Liu et al. 2019, RoBERTa, "full sentences"), or, with
`pairs`, two segments between special ids. Scores are computed at the masked positions alone, as
many in every row; those that a short row lacks count for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Flags, Int64Array
from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.model.config import NO_CLASSES, ONE_STACK
from dslm.objectives.base import Context, Objective, Refusals
from dslm.objectives.batch import IGNORE, Batch, as_batch, position_ids
from dslm.objectives.completion import Fill
from dslm.objectives.masking import MaskUnit, mask_tokens, select_tokens
from dslm.sampling.pairs import SPECIAL, PairRows, Relation, check_pairs, unrelated
from dslm.sampling.stateless_random import stateless_random
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from torch import Tensor

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class MaskedConfig:
    """Masked language modelling."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the tokens of a row that are to be predicted."""
    hidden: Share = 0.8
    """Share of these that become [MASK]."""
    replaced: Share = 0.1
    """Share of these that become any other token; the rest stays as it is."""
    unit: MaskUnit = "token"
    """What is masked as a whole: single tokens; words; spans of up to 10 words (SpanBERT, Joshi et
    al. 2020); n-grams of up to 3 words (ALBERT, Lan et al. 2020)."""
    static: bool = False
    """Whether a row is masked in the same way in every epoch."""
    pairs: Literal["none"] | Relation = "none"
    """What else is learned: whether the second segment follows the first (next_sentence, BERT), or
    which of two that follow each other comes first (sentence_order, ALBERT)."""
    short: Share = 0.1
    """Share of the pairs that are made shorter than a row (only with `pairs`)."""

    @property
    def paired(self) -> bool:
        """Whether rows are pairs of segments."""
        return self.pairs != "none"


class Masked(Objective):
    """Some tokens are masked and predicted."""

    kind = "masked"
    meaning = "hidden tokens from all others"
    config = MaskedConfig
    settings: MaskedConfig

    def __init__(self, settings: MaskedConfig, context: Context) -> None:
        super().__init__(settings, context)
        special = context.vocabulary.special
        self.extra_ids = 0 if "mask" in special else 1
        self.mask = special.get("mask", context.vocabulary.size)
        self.begin = special.get("cls")
        self.window = WindowSpec(context.sequence - (self.begin is not None))
        self.repeats = settings.static
        self.max_predictions = max(1, round(settings.share * context.sequence))
        self.scored_fraction = self.max_predictions / context.sequence
        seen = ("visibility",) if context.borders or context.padded else ()
        kept_apart = (*seen, *(("position_ids",) if context.borders else ()))
        shape = ("segments", "visibility") if settings.paired else kept_apart
        self.extras = (*shape, "selected")
        self.parts = 2 if settings.paired else 1
        pair = ("pair_loss", "pair_accuracy") if settings.paired else ()
        self.measures = ("masked_loss", "masked_accuracy", *pair)
        self._ordinary = context.vocabulary.ordinary()
        ids = np.arange(context.vocabulary.size + self.extra_ids)
        self._maskable = np.isin(ids, self._ordinary)
        self._words = None if settings.unit == "token" else context.vocabulary.words()

    @classmethod
    def token_loss(cls, settings: MaskedConfig) -> str:
        """The loss without that of the pairs."""
        return "masked_loss" if settings.paired else "loss"

    @classmethod
    def model(cls, settings: MaskedConfig) -> dict[str, Any]:
        """A token sees all others."""
        segments = {"segments": 2} if settings.paired else {}
        plain = {**ONE_STACK, **NO_CLASSES}
        return {**plain, "attention": "full", "pair_head": settings.paired, **segments}

    @classmethod
    def refuses(cls, settings: MaskedConfig) -> Refusals:
        """Whatever makes rows, where pairs are rows of their own."""
        if not settings.paired:
            return {}
        borders = "means nothing for pairs, which are rows of their own"
        rows = "does not go with pairs of segments, which are rows of their own"
        return {
            "document_borders": (borders, "leave it out, or use objective.masked.pairs=none"),
            "packing": (rows, "leave it out"),
            "augmentation": (rows, "leave it out"),
        }

    def special(self) -> tuple[str, ...]:
        """Those around the segments of a pair, or the end by which documents are recognized."""
        return SPECIAL if self.settings.paired else super().special()

    def check_shards(self, shards: ShardSet) -> list[Problem]:
        """Whether pairs can be made."""
        return check_pairs(shards) if self.settings.paired else []

    def source(self, shards: ShardSet) -> PairRows | None:
        """Pairs, if there are to be any."""
        relation = self.settings.pairs
        if relation == "none":
            return None
        context, special = self.context, dict(self.context.vocabulary.special)
        return PairRows(
            shards, context.sequence, relation, special, self.settings.short, context.seed
        )

    def batch(self, samples: Samples) -> Batch:
        """Mask tokens of rows.

        Returns:
            Inputs: tokens [B, S], what `extras` names, `selected` [B, M]. Labels: the tokens at the
            selected positions [B, M]; for pairs also whether the segments do not belong together
            [B], and the first position is among those selected.
        """
        rows, text = samples.tokens.astype(np.int64), samples.text
        if self.begin is not None and not self.settings.paired:
            rows = np.insert(rows, 0, self.begin, axis=1)
            text = np.insert(text, 0, True, axis=1)
        inputs, masked = self._masked(rows, text, samples)
        selected = np.argsort(~masked, axis=1, kind="stable")[:, : self.max_predictions]
        if self.settings.paired:
            selected = np.insert(selected, 0, 0, axis=1)  # [CLS], which is never masked
        counted = np.take_along_axis(masked, selected, axis=1)
        labels = [np.where(counted, np.take_along_axis(rows, selected, axis=1), IGNORE)]
        if self.settings.paired:
            labels.append(unrelated(self.context.seed, samples.numbers))
        extras = {"selected": np.where(counted, selected, 0), **self._shape(rows, text)}
        return as_batch([inputs, *(extras[name] for name in self.extras)], labels)

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """The loss of the masked tokens and, for pairs, that of the pairs."""
        return self._of_each(super().loss, outputs, labels)

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy of each part."""
        return self._of_each(super().measure, outputs, labels)

    def completion(self) -> Fill:
        """Masks are filled in a text between the same ids as in training."""
        special = self.context.vocabulary.special
        end = None if self.begin is None else special.get("sep" if self.settings.paired else "eos")
        return Fill(self.mask, self.begin, end)

    def _of_each(self, function: Callable[[Any, Any], Tensor], outputs: Any, labels: Any) -> Tensor:
        """A function of scores and labels for each part of the loss, one behind the other."""
        import torch

        if not self.settings.paired:
            return function(outputs, labels)
        (scores, pair), (tokens, relation) = outputs, labels
        return torch.cat([function(scores, tokens), function(pair[:, None], relation[:, None])])

    def _masked(self, rows: Int64Array, text: Flags, samples: Samples) -> tuple[Int64Array, Flags]:
        """Rows as the model sees them, and where they are masked."""
        settings = self.settings
        numbers = samples.indices if settings.static else samples.numbers
        draws = partial(stateless_random, self.context.seed, numbers)
        masked, units = select_tokens(
            rows, text & self._maskable[rows], settings.share, settings.unit, self._words, draws
        )
        together = units if settings.unit == "span" else None
        shares = settings.hidden, settings.replaced
        return mask_tokens(rows, masked, together, shares, self.mask, self._ordinary, draws), masked

    def _shape(self, rows: Int64Array, text: Flags) -> dict[str, Int64Array]:
        """What `extras` may name of segments, visibility and position ids of rows."""
        special, visible = self.context.vocabulary.special, -text.astype(np.int64)
        if self.settings.paired:
            first = np.cumsum(rows == special["sep"], axis=1) - (rows == special["sep"]) == 0
            return {"segments": (text & ~first).astype(np.int64), "visibility": visible}
        if not self.context.borders:
            return {"visibility": visible}
        ends = rows == special["eos"]
        documents = np.where(text, 1 + np.cumsum(ends, axis=1) - ends, 0)
        return {"visibility": -documents, "position_ids": position_ids(documents)}
