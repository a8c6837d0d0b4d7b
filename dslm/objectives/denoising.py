"""Denoising: a corrupted text and then, token by token, what restores it.

The path of a row, for one stack where T5 and BART have two: [source] begin [target], and padding up
to S. The source is seen whole and the rest causally, a prefix language model (Raffel et al. 2020,
section 3.2.1). Scores are computed from `begin` on alone, where the target and then `end` are
predicted. For two stacks: [source] and padding up to S for the encoder, begin [target] for the
decoder. What is corrupted, and how, is in `corruption`; which ids surround source and target is in
`dslm.tokenizers.pair_frame`. The marks are those of the tokenizer, else ids beyond its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.arrays import Int64Array
from dslm.config.parse import STRICT
from dslm.errors import ConfigError, Problem
from dslm.objectives.base import Context, Objective
from dslm.objectives.batch import IGNORE, Batch, as_batch, filled
from dslm.objectives.completion import Restore
from dslm.objectives.corruption import Corruption, Style
from dslm.sampling.stateless_random import RandomStream, stateless_random
from dslm.sampling.stream import Samples, WindowSpec

SHORTEST = 2
"""Tokens of a text of which one can be corrupted."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class DenoisingConfig:
    """Denoising."""

    style: Style = "spans"
    """What is corrupted and predicted. spans: spans, and these alone (T5); infilling: spans behind
    one mask each, some of them empty; masking: single tokens behind a mask; deletion: single tokens
    that are gone. With the last three, of BART, the whole text is predicted."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the tokens that are corrupted; null = 0.15 for spans, as T5, else 0.3, as BART."""
    span: Annotated[float, Field(ge=1)] = 3.0
    """Mean length in tokens of a corrupted span (spans, infilling)."""


class Denoising(Objective):
    """A window of text is corrupted and restored."""

    kind = "denoising"
    meaning = "a text from what is left of it"
    config = DenoisingConfig
    measures = ("restored_loss", "restored_accuracy")
    settings: DenoisingConfig

    def __init__(self, settings: DenoisingConfig, context: Context) -> None:
        super().__init__(settings, context)
        self.extras = "visibility", "targets" if context.two_stacks else "selected"
        self.frame = context.vocabulary.frame
        share = settings.share or (0.15 if settings.style == "spans" else 0.3)
        corruption = Corruption(settings.style, share, settings.span, ())
        known, own = self._known_marks(), context.vocabulary.frame_ids
        length = self._longest(corruption, len(known) or None)
        needed = {"spans": corruption.counts(length)[1], "deletion": 0}.get(settings.style, 1)
        first = context.vocabulary.size + own
        marks = known[:needed] or tuple(range(first, first + needed))
        self.extra_ids = own + (0 if known else needed)
        self.corruption = replace(corruption, marks=marks)
        self.window = WindowSpec(length)
        self.max_predictions = corruption.lengths(length)[1] + self.frame.around_target
        self.scored_fraction = self.max_predictions / context.sequence

    @classmethod
    def model(cls, settings: DenoisingConfig) -> dict[str, Any]:
        """Each row says what its tokens see; what is generated sees all before it."""
        decided = {**super().model(settings), "block": "attention"}
        return {key: value for key, value in decided.items() if key != "encoder_layers"}

    def batch(self, samples: Samples) -> Batch:
        """Corrupt texts [B, L].

        Returns:
            Inputs: tokens [B, S], their visibility [B, S], the positions to be scored [B, M], or
                for two stacks what the decoder reads [B, M].
            Labels: the tokens to be predicted there [B, M].
        """
        return self._two_stacks(samples) if self.context.two_stacks else self._one_row(samples)

    def _one_row(self, samples: Samples) -> Batch:
        """Source and target of each text in one row."""
        shape = len(samples.tokens), self.context.sequence
        inputs = np.full(shape, self.context.vocabulary.special.get("pad", 0), dtype=np.int64)
        visibility = np.zeros(shape, dtype=np.int64)
        selected = np.zeros((len(inputs), self.max_predictions), dtype=np.int64)
        labels = np.full(selected.shape, IGNORE, dtype=np.int64)
        for row, (source, target) in enumerate(self._corrupted(samples)):
            given, wanted = self.frame.given(target), self.frame.predicted(target)
            predicted, seen = wanted.size, source.size
            inputs[row, : seen + predicted] = np.concatenate([source, given])
            visibility[row, :seen], visibility[row, seen : seen + predicted] = -1, 1
            selected[row, :predicted] = np.arange(seen, seen + predicted)
            labels[row, :predicted] = wanted
        return as_batch([inputs, visibility, selected], [labels])

    def _two_stacks(self, samples: Samples) -> Batch:
        """Sources for an encoder, targets for a decoder."""
        pairs = self._corrupted(samples)
        padding = self.context.vocabulary.special.get("pad", 0)
        inputs = filled([source for source, _ in pairs], self.context.sequence, padding)
        sizes = np.array([source.size for source, _ in pairs])
        visibility = -(np.arange(self.context.sequence) < sizes[:, None]).astype(np.int64)
        given = [self.frame.given(target) for _, target in pairs]
        predicted = [self.frame.predicted(target) for _, target in pairs]
        targets = filled(given, self.max_predictions, padding)
        labels = filled(predicted, self.max_predictions, IGNORE)
        return as_batch([inputs, visibility, targets], [labels])

    def completion(self) -> Restore:
        """The prompt is a source, whose gaps have the marks of training."""
        return Restore(
            frame=self.frame,
            size=self.context.vocabulary.size + self.extra_ids,
            longest=self.context.sequence
            - (0 if self.context.two_stacks else self.max_predictions),
            marks=self.corruption.marks,
            in_place=self.settings.style == "spans",
            two_stacks=self.context.two_stacks,
            free=self.context.vocabulary.pair is not None,
        )

    def _known_marks(self) -> tuple[int, ...]:
        """What the tokenizer has for what is missing, of those that the style can use."""
        vocabulary = self.context.vocabulary
        if self.settings.style == "spans":
            return vocabulary.gaps
        mask = vocabulary.special.get("mask", next(iter(vocabulary.gaps), None))
        return () if mask is None or self.settings.style == "deletion" else (mask,)

    def _longest(self, corruption: Corruption, marks: int | None) -> int:
        """The longest text whose source and target fit into a row, whatever is drawn.

        For two stacks source and target have a row each. Where the tokenizer has marks, they
        suffice for its spans.
        """
        sequence, joined = self.context.sequence, max if self.context.two_stacks else sum
        spans = self.settings.style == "spans" and marks is not None
        for length in range(2 * sequence, SHORTEST - 1, -1):
            source, target = corruption.lengths(length)
            around = source + self.frame.around_source, target + self.frame.around_target
            enough = not spans or corruption.counts(length)[1] <= (marks or 0)
            if joined(around) <= sequence and enough:
                return length
        rule = "leaves no room for a corrupted text and what restores it"
        raise ConfigError(Problem("model.sequence", sequence, rule, "use 8 or more"))

    def _corrupted(self, samples: Samples) -> list[tuple[Int64Array, Int64Array]]:
        """What is read of each sample, and its target; its padding is no part of its text."""
        texts, width = samples.tokens.astype(np.int64), self.window.width
        lengths = samples.text.sum(axis=1)
        draws = stateless_random(
            self.context.seed, samples.numbers, 2 * width + 1, RandomStream.CUTS
        )
        drawn = zip(texts, lengths.tolist(), draws, strict=True)
        pairs = [self.corruption(text[:length], numbers) for text, length, numbers in drawn]
        return [(self.frame.source(source), target) for source, target in pairs]
