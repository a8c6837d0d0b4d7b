"""Denoising: a damaged text and then, token by token, what restores it.

The way of a row, for one stack where T5 and BART have two: [source] begin [target], and padding up
to S. The source is seen whole and the rest causally, a prefix language model (Raffel et al. 2020,
section 3.2.1). Scores are computed from `begin` on alone, where the target and then `end` are asked
for. What is damaged, and how, is in `corruption`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import ConfigError, Problem
from dslm.objectives.corruption import Corruption, Integers, Style
from dslm.objectives.protocol import IGNORE, Batch, Context
from dslm.sampling.stateless_random import RandomStream, stateless_random
from dslm.sampling.stream import Samples, WindowSpec
from dslm.shards.shard_set import ShardSet

if TYPE_CHECKING:
    from torch import Tensor

SHORTEST = 2
"""Tokens of a text of which one can be damaged."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class DenoisingConfig:
    """Denoising."""

    style: Style = "spans"
    """What is damaged and asked for. spans: spans, and these alone (T5); infilling: spans behind
    one mask each, some of them empty; masking: single tokens behind a mask; deletion: single tokens
    that are gone. The last three, of BART, ask for the whole text."""
    share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the tokens that are damaged; null = 0.15 for spans, as T5, else 0.3, as BART."""
    span: Annotated[float, Field(ge=1)] = 3.0
    """Mean length in tokens of a damaged span (spans, infilling)."""


class Denoising:
    """A window of text is damaged and restored."""

    extras: tuple[str, ...] = ("visibility", "selected")
    measures: tuple[str, ...] = ("restored_loss", "restored_accuracy")

    def __init__(self, settings: DenoisingConfig, context: Context) -> None:
        self.settings, self.context = settings, context
        self.begin = context.vocabulary.size
        self.end = self.begin + 1
        share = settings.share or (0.15 if settings.style == "spans" else 0.3)
        mask = None if settings.style == "spans" else context.vocabulary.special.get("mask")
        first = self.end + 1 if mask is None else mask
        self.corruption = Corruption(settings.style, share, settings.span, first)
        length = self._longest()
        self.window_spec = WindowSpec(length)
        own = {"spans": self.corruption.counts(length)[1], "deletion": 0}.get(settings.style, 1)
        self.extra_ids = 2 + (own if mask is None else 0)
        self.max_predictions = self.corruption.lengths(length)[1] + 1
        self.scored_fraction = self.max_predictions / context.sequence

    @staticmethod
    def model(settings: DenoisingConfig) -> Mapping[str, Any]:
        """What it sees is told row by row; what is generated sees all before it."""
        shape = {"block": "attention", "attention": "causal"}
        return {**shape, "transform": False, "pair_head": False}

    def special(self) -> tuple[str, ...]:
        """None: the marks are ids of its own."""
        return ()

    def source(self, shards: ShardSet) -> None:
        """Windows or packed documents."""

    def batch(self, samples: Samples) -> Batch:
        """Damage texts [B, L].

        Returns:
            Inputs: tokens [B, S], their visibility [B, S], the places to be scored [B, M]. Labels:
            the tokens asked for at these places [B, M].
        """
        import torch

        count, size = len(samples.tokens), self.context.sequence
        inputs = np.full(
            (count, size), self.context.vocabulary.special.get("pad", 0), dtype=np.int64
        )
        visibility = np.zeros((count, size), dtype=np.int64)
        selected = np.zeros((count, self.max_predictions), dtype=np.int64)
        labels = np.full((count, self.max_predictions), IGNORE, dtype=np.int64)
        for row, (source, target) in enumerate(self._damaged(samples)):
            asked, seen = target.size + 1, source.size
            inputs[row, : seen + asked] = np.concatenate([source, [self.begin], target])
            visibility[row, :seen], visibility[row, seen : seen + asked] = -1, 1
            selected[row, :asked] = np.arange(seen, seen + asked)
            labels[row, :asked] = np.append(target, self.end)
        tensors = tuple(map(torch.from_numpy, (inputs, visibility, selected)))
        return tensors, torch.from_numpy(labels)

    def loss(self, outputs: Any, labels: Any) -> Tensor:
        """Mean negative log-likelihood of the target in nats; see `cross_entropy`."""
        from dslm.objectives.cross_entropy import cross_entropy

        return cross_entropy(outputs, labels)

    def measure(self, outputs: Any, labels: Any) -> Tensor:
        """Loss and accuracy over the tokens of the targets."""
        from dslm.objectives.cross_entropy import judged

        return judged(outputs, labels)

    def _longest(self) -> int:
        """The longest text whose source, `begin` and target fit into a row, whatever is drawn."""
        sequence = self.context.sequence
        for length in range(sequence, SHORTEST - 1, -1):
            if sum(self.corruption.lengths(length)) < sequence:
                return length
        rule = "leaves no room for a damaged text and what restores it"
        raise ConfigError(Problem("model.sequence", sequence, rule, "use 8 or more"))

    def _damaged(self, samples: Samples) -> list[tuple[Integers, Integers]]:
        """Source and target of each sample; its padding is no part of its text."""
        texts, width = samples.tokens.astype(np.int64), self.window_spec.width
        lengths = np.full(len(texts), width)
        if samples.padding is not None:
            lengths = (texts != samples.padding).sum(axis=1)
        draws = stateless_random(
            self.context.seed, samples.numbers, 2 * width + 1, RandomStream.CUTS
        )
        drawn = zip(texts, lengths.tolist(), draws, strict=True)
        return [self.corruption(text[:length], numbers) for text, length, numbers in drawn]
