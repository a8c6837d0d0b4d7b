"""The held-out loss of a model, over every token of a shard set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from dslm.data.shard_set import ShardSet
from dslm.data.stream import Tokens, ordered_rows, windows_in
from dslm.errors import DataError, Problem
from dslm.inference.trained import Trained
from dslm.objectives.registry import OBJECTIVES

TOKENS = 8192
"""Tokens computed at once."""


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts a text."""

    loss: float
    """Nats a token."""
    tokens: int
    """How many were predicted: all but the first."""
    text_bytes: int
    """Bytes of the text in UTF-8."""

    @property
    def perplexity(self) -> float:
        """As many equally likely tokens would be as hard to predict."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_byte(self) -> float:
        """The text's length in this model's code, which no choice of tokenizer flatters."""
        return self.loss * self.tokens / math.log(2) / self.text_bytes


@torch.no_grad()
def evaluate(
    trained: Trained, shards: ShardSet, advance: Callable[[int], None] | None = None
) -> Evaluation:
    """Measure a model on a shard set, window after window, the last one shorter.

    Args:
        trained: the model.
        shards: the text, made with the model's tokenizer.
        advance: told the number of tokens done.

    Raises:
        DataError: the shards are of another tokenizer, or hold no two tokens.
    """
    _check(trained, shards)
    objective = OBJECTIVES[trained.config.objective.kind]
    nats = 0.0
    for rows in _rows(shards, trained.config.model.sequence):
        inputs, labels = objective.example(torch.from_numpy(rows).to(trained.device).long())
        # The objective's mean is over rows of equal length, so over tokens.
        nats += float(objective.loss(trained.model(inputs), labels)) * labels.numel()
        if advance is not None:
            advance(labels.numel())
    tokens = shards.tokens - 1
    return Evaluation(nats / tokens, tokens, shards.text_bytes)


def _rows(shards: ShardSet, sequence: int) -> Iterator[Tokens]:
    """Every window of a shard set, some rows at a time, then what is left as a shorter one."""
    windows, at_once = windows_in(shards, sequence), max(1, TOKENS // sequence)
    for first in range(0, windows, at_once):
        yield ordered_rows(shards, sequence, first, min(at_once, windows - first))
    read = windows * sequence
    if read < shards.tokens - 1:
        yield shards.windows(np.array([read]), shards.tokens - read)


def _check(trained: Trained, shards: ShardSet) -> None:
    """That the shards are this model's language."""
    where = str(shards.folder)
    if shards.tokenizer_sha256 != trained.tokenizer.sha256:
        rule = "was made with another tokenizer than the model's"
        fix = f"shard the text with --tokenizer {trained.run / 'tokenizer'}"
        raise DataError(Problem(where, None, rule, fix))
    if shards.tokens < 2:
        raise DataError(Problem(where, None, "holds no two tokens, so nothing to predict"))
