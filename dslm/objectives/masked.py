"""Masked language modelling, alone or with pairs of segments (Devlin et al. 2018).

A row is a window of text behind [CLS] (as Liu et al. 2019, RoBERTa, "full sentences"), or, with
`pairs`, two segments between special ids. Scores are computed at the masked places alone: as many
in every row, those that a short row lacks count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.objectives.documents import Integers, places_of, visible
from dslm.objectives.masking import MaskDraws, MaskUnit, changed, chosen
from dslm.objectives.protocol import IGNORE, Batch, Context, Value
from dslm.sampling.pairs import SPECIAL, PairRows, Relation, unrelated
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


class Masked:
    """Some tokens are hidden and asked for."""

    def __init__(self, settings: MaskedConfig, context: Context) -> None:
        self.settings, self.context = settings, context
        self.paired, special = settings.pairs != "none", context.vocabulary.special
        self.extra_ids = 0 if "mask" in special else 1
        self.mask = special.get("mask", context.vocabulary.size)
        self.begin = special.get("cls")
        self.end = special.get("sep" if self.paired else "eos") if "cls" in special else None
        self.window_spec = WindowSpec(context.sequence - (self.begin is not None))
        self.max_predictions = max(1, round(settings.share * context.sequence))
        self.scored_fraction = self.max_predictions / context.sequence
        kept_apart = ("visibility", "position_ids") if context.borders else ()
        shape = ("segments", "visibility") if self.paired else kept_apart
        self.extras: tuple[str, ...] = (*shape, "selected")
        pair = ("pair_loss", "pair_accuracy") if self.paired else ()
        self.measures: tuple[str, ...] = ("masked_loss", "masked_accuracy", *pair)
        self._ordinary = context.vocabulary.ordinary()
        self._text = np.isin(np.arange(context.vocabulary.size + self.extra_ids), self._ordinary)
        self._words = None if settings.unit == "token" else context.vocabulary.words()

    @staticmethod
    def model(settings: MaskedConfig) -> Mapping[str, Any]:
        """A token sees all others."""
        if settings.pairs == "none":
            return {"attention": "full", "pair_head": False}
        return {"attention": "full", "segments": 2, "pair_head": True}

    def special(self) -> tuple[str, ...]:
        """Pairs stand between special ids; borders between documents are told by their ends."""
        return (*(SPECIAL if self.paired else ()), *(("eos",) if self.context.borders else ()))

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
        """Hide tokens of rows.

        Returns:
            Inputs: tokens [B, S], what `extras` names, `selected` [B, M]. Labels: the tokens at the
            picked places [B, M]; for pairs also whether the segments do not belong together [B],
            and the first place is among those picked.
        """
        rows = self._whole(samples.tokens.astype(np.int64))
        settings = self.settings
        numbers = samples.indices if settings.static else samples.numbers
        draws = MaskDraws(self.context.seed, numbers)
        masked, units = chosen(
            rows, self._text[rows], settings.share, settings.unit, self._words, draws
        )
        together = units if settings.unit == "span" else None
        shares = settings.hidden, settings.replaced
        inputs = changed(rows, masked, together, shares, self.mask, self._ordinary, draws)
        selected = np.argsort(~masked, axis=1, kind="stable")[:, : self.max_predictions]
        counted = np.take_along_axis(masked, selected, axis=1)
        labels = np.where(counted, np.take_along_axis(rows, selected, axis=1), IGNORE)
        if self.paired:
            selected, labels = (
                np.insert(selected, 0, 0, axis=1),
                np.insert(labels, 0, IGNORE, axis=1),
            )
            counted = np.insert(counted, 0, False, axis=1)
        found = {"selected": np.where(counted, selected, 0), **self._shape(rows)}
        answers = [labels]
        if self.paired:
            answers.append(unrelated(self.context.seed, samples.numbers))
        return _tensors([inputs, *(found[name] for name in self.extras)]), _tensors(answers)

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """The mean loss of the masked tokens and, for pairs, that of the pairs, added up."""
        from dslm.objectives.cross_entropy import cross_entropy

        if not self.paired:
            return cross_entropy(outputs, labels)
        (scores, pair), (tokens, relation) = outputs, labels
        return cross_entropy(scores, tokens) + cross_entropy(pair[:, None], relation[:, None])

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy of each part."""
        import torch

        from dslm.objectives.cross_entropy import judged

        if not self.paired:
            return judged(outputs, labels)
        (scores, pair), (tokens, relation) = outputs, labels
        return torch.cat([judged(scores, tokens), judged(pair[:, None], relation[:, None])])

    def _whole(self, rows: Integers) -> Integers:
        """Rows as the model takes them: windows get their [CLS]."""
        if self.paired or self.begin is None:
            return rows
        return np.insert(rows, 0, self.begin, axis=1)

    def _shape(self, rows: Integers) -> dict[str, Integers]:
        """Segments, visibility and places of rows, as far as they are carried."""
        special = self.context.vocabulary.special
        if self.paired:
            after = np.cumsum(rows == special["sep"], axis=1) - (rows == special["sep"])
            documents = (after < 2).astype(np.int64)  # behind the second [SEP] is padding
            return {
                "segments": (after == 1).astype(np.int64),
                "visibility": visible(documents, causal=False),
            }
        if not self.context.borders:
            return {}
        ends = rows == special["eos"]
        documents = 1 + np.cumsum(ends, axis=1) - ends
        if "pad" in special:
            documents = np.where(rows == special["pad"], 0, documents)
        return {
            "visibility": visible(documents, causal=False),
            "position_ids": places_of(documents),
        }


def _tensors(arrays: list[Integers]) -> Value:
    import torch

    made = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)
    return made if len(made) > 1 else made[0]
