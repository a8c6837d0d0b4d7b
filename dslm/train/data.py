"""The shard sets of a run: opened, checked against the model, and handed out as batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslm.data.shard_set import ShardSet
from dslm.data.stream import Stream, check_sources, check_window, windows_in
from dslm.errors import DataError, Problem
from dslm.objectives.protocol import Batch, Objective
from dslm.parallel.plan import Plan
from dslm.train.config import DataConfig


@dataclass(frozen=True)
class Sources:
    """What a run reads."""

    train: tuple[ShardSet, ...]
    weights: tuple[float, ...] | None
    validation: ShardSet | None

    @property
    def all(self) -> tuple[ShardSet, ...]:
        """Every shard set of the run."""
        return self.train if self.validation is None else (*self.train, self.validation)

    @property
    def tokens(self) -> int:
        """Tokens of the training data."""
        return sum(source.tokens for source in self.train)

    def record(self) -> dict[str, Any]:
        """What ``run.json`` says of the data."""
        weights = self.weights or (None,) * len(self.train)
        train = [_record(s, w) for s, w in zip(self.train, weights, strict=True)]
        return {"train": train, "validation": self.validation and _record(self.validation, None)}


def open_sources(config: DataConfig) -> Sources:
    """Open every shard set of a run.

    Raises:
        DataError: with all problems of all of them.
    """
    named = config.train if isinstance(config.train, dict) else {config.train: 1.0}
    if not named:
        raise DataError(Problem("data.train", named, "names no shard set", "name one or more"))
    opened: list[ShardSet] = []
    problems: list[Problem] = []
    for folder in (*named, *([config.validation] if config.validation else [])):
        try:
            opened.append(ShardSet.open(folder))
        except DataError as error:
            problems += error.problems
    if problems:
        raise DataError(*problems)
    train = tuple(opened[: len(named)])
    weights = tuple(named.values()) if len(named) > 1 else None
    return Sources(train, weights, opened[-1] if config.validation else None)


def check_sources_fit(sources: Sources, sequence: int, vocabulary: int | None) -> list[Problem]:
    """Whether the shard sets fit together and fit the model.

    Args:
        sources: the shard sets.
        sequence: the model's window.
        vocabulary: the model's, or `None` when it is to be the tokenizer's.
    """
    problems = check_sources(sources.train, sources.weights, sequence)
    validation = sources.validation
    if validation is not None:
        problems += check_window(validation, sequence)
        if validation.tokenizer_sha256 != sources.train[0].tokenizer_sha256:
            rule = "was made with another tokenizer than data.train"
            fix = f"shard it with --tokenizer {sources.train[0].tokenizer}"
            problems.append(Problem("data.validation", str(validation.folder), rule, fix))
    needed = max(max(source.vocabulary, source.maximum_token + 1) for source in sources.all)
    if vocabulary is not None and vocabulary < needed:
        rule = f"is too small: the shards hold token ids up to {needed - 1}"
        fix = f"use model.vocabulary={needed} or more, or null"
        problems.append(Problem("model.vocabulary", vocabulary, rule, fix))
    return problems


def training_batch(
    stream: Stream, plan: Plan, objective: Objective, first: int, replica: int, device: str
) -> Iterator[Batch]:
    """The micro-batches of one replica for the step that begins at a sample.

    Args:
        stream: the order of training.
        plan: the layout.
        objective: makes examples of rows.
        first: number of the step's first sample.
        replica: whose part.
        device: where the tensors go.
    """
    import torch

    share = plan.micro_batch * plan.accumulation
    rows = torch.from_numpy(stream.rows(first + replica * share, share))
    for part in torch.split(rows, plan.micro_batch):
        yield objective.example(part.to(device, non_blocking=True).long())


def validation_batches(
    shards: ShardSet, windows: int, plan: Plan, objective: Objective, replica: int, device: str
) -> tuple[list[Batch], float]:
    """The micro-batches of one replica for a measurement over the first windows of a shard set.

    All replicas get the same number; those past the end repeat a window without labels.

    Returns:
        The batches, and what their mean loss must be multiplied with to be that of the windows.
    """
    import torch

    a_round = plan.micro_batch * plan.replicas
    rounds = -(-windows // a_round)
    batches = []
    for first in range(replica * plan.micro_batch, rounds * a_round, a_round):
        numbers = np.arange(first, first + plan.micro_batch)
        rows = shards.windows(np.minimum(numbers, windows - 1) * plan.sequence, plan.sequence + 1)
        inputs, labels = objective.example(torch.from_numpy(rows).to(device).long())
        past = torch.from_numpy(numbers >= windows).to(device)
        batches.append((inputs, labels.masked_fill(past[:, None], objective.ignore)))
    return batches, rounds * a_round / windows


def validation_windows(shards: ShardSet, sequence: int, most: int) -> int:
    """How many windows of a shard set a measurement reads."""
    return min(windows_in(shards, sequence), most)


def _record(source: ShardSet, weight: float | None) -> dict[str, Any]:
    known = {
        "folder": str(source.folder),
        "tokens": source.tokens,
        "documents": source.documents,
        "text_bytes": source.text_bytes,
        "fingerprint": source.fingerprint,
    }
    return known if weight is None else {**known, "weight": weight}
