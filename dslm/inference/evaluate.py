"""How well a model predicts held-out text: its loss, and what else its objective measures.

A causal model predicts every token of the text but the first, also one that has learned to fill in
the middle. Others are evaluated as in training, row after row, with what is hidden drawn by the
number of the row: the same in each evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dslm.errors import DataError, Problem
from dslm.inference.mistakes import check_language, lost
from dslm.inference.trained import Trained
from dslm.sampling.stream import RowSource, Samples
from dslm.shards.shard_set import ShardSet
from dslm.train.batches import evaluation_rows, evenly, moved


@dataclass(frozen=True)
class Evaluation:
    """How well a model predicts a text."""

    loss: float
    """The mean over everything that is scored; in nats a token for a causal model."""
    tokens: int
    """How many were read; by a causal model all but the first are predicted."""
    text_bytes: int | None
    """Bytes of the text in UTF-8, if the loss is that of all of it."""
    token_loss: float | None = None
    """Nats a token, if the objective predicts tokens."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """What else the objective measures, other losses among it."""

    @property
    def perplexity(self) -> float | None:
        """As many equally likely tokens would be as hard to predict; `None` without tokens."""
        return None if self.token_loss is None else math.exp(min(self.token_loss, 700.0))

    @property
    def bits_per_byte(self) -> float | None:
        """The text's length in this model's code, which no choice of tokenizer flatters."""
        if self.text_bytes is None:
            return None
        return self.loss * self.tokens / math.log(2) / self.text_bytes


@torch.no_grad()
def evaluate(
    trained: Trained,
    shards: ShardSet,
    advance: Callable[[int], None] | None = None,
    rows: int | None = None,
) -> Evaluation:
    """Measure a model on a shard set.

    Args:
        trained: the model.
        shards: the text, made with the model's tokenizer.
        advance: called with the number of tokens done.
        rows: how many are read, evenly spread; the whole set unless given.

    Raises:
        DataError: the shards are of another tokenizer, or hold nothing to predict.
    """
    check_language(trained.run, trained.tokenizer, shards)
    objective = trained.objective
    source = evaluation_rows(shards, objective)
    whole = objective.covers_text and (rows is None or rows > len(source))
    makers, tokens = objective.held_out(), 0
    losses = {name: torch.zeros(objective.parts, 2, dtype=torch.float64) for name in makers}
    sums = torch.zeros(len(objective.measures), 2, dtype=torch.float64)
    for samples in _samples(source, shards, whole, len(source) if rows is None else rows):
        for name, make in makers.items():
            inputs, labels = moved(make(samples), lambda tensor: tensor.to(trained.device))
            outputs = trained.model(inputs)
            if objective.measures and name == "loss":
                sums += objective.measure(outputs, labels).cpu()
            pair = objective.loss(outputs, labels), objective.counts(labels)
            losses[name] += torch.stack(pair, dim=1).cpu()
        tokens += samples.tokens[:, 1:].size
        if advance is not None:
            advance(samples.tokens[:, 1:].size)
    if not losses["loss"][:, 1].any():
        rule = "holds nothing to predict: it is shorter than a row of this model"
        raise DataError(Problem(str(shards.folder), None, rule, "measure a longer text"))
    means = {name: float(_means(found).sum()) for name, found in losses.items()}
    if not math.isfinite(means["loss"]):
        raise lost(f"its loss is {means['loss']}")
    measures = dict(zip(objective.measures, _means(sums).tolist(), strict=True))
    in_nats = objective.token_loss(objective.settings)
    token_loss = None if in_nats is None else {**means, **measures}[in_nats]
    text_bytes, loss = shards.text_bytes if whole else None, means.pop("loss")
    return Evaluation(loss, tokens, text_bytes, token_loss, {**means, **measures})


def _means(sums: Tensor) -> Tensor:
    """From sums and counts [n, 2] to means [n]; nothing counts as zero."""
    return sums[:, 0] / sums[:, 1].where(sums[:, 1] != 0, 1)


def _samples(source: RowSource, shards: ShardSet, whole: bool, rows: int) -> Iterator[Samples]:
    """The rows, some at a time; of the whole text also what is left, as a shorter one."""
    yield from evenly(source, rows)
    read = len(source) * (source.width - 1)
    if whole and read < shards.tokens - 1:
        number = np.array([len(source)])
        yield Samples(shards.windows(np.array([read]), shards.tokens - read), number, number)
