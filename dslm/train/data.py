"""The shard sets of a run: opened, checked against the model, and handed out as batches.

The way of the data: `open_sources` opens the folders that the settings name and finds their shares;
`check_sources_fit` tells what is wrong with them; `open_stream` cuts them into rows and puts these
in order; `training_batch` makes a step's examples of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dslm.data.augment import Augmentation, slack
from dslm.data.augmented import AugmentedStream
from dslm.data.order import BLOCK, apportion, tempered
from dslm.data.packed import PackedRows
from dslm.data.shard_set import ShardSet
from dslm.data.stream import Stream, Windows, check_sources, check_window, windows_in
from dslm.data.tokenizer import Card, Tokenizer
from dslm.errors import DataError, Problem
from dslm.objectives.protocol import Batch, Objective
from dslm.parallel.plan import Plan
from dslm.train.config import DataConfig, RunConfig


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
        weights = self.weights or ()
        shares = [{"weight": weight, "share": weight / math.fsum(weights)} for weight in weights]
        pairs = zip(self.train, shares or [{}] * len(self.train), strict=True)
        train = [{**_record(source), **share} for source, share in pairs]
        return {"train": train, "validation": self.validation and _record(self.validation)}


def open_sources(config: DataConfig) -> Sources:
    """Open every shard set of a run.

    Raises:
        DataError: with all problems of all of them.
    """
    named = [config.train] if isinstance(config.train, str) else list(config.train)
    if not named:
        raise DataError(
            Problem("data.train", config.train, "names no shard set", "name one or more")
        )
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
    return Sources(train, _weights(config, train), opened[-1] if config.validation else None)


def _weights(config: DataConfig, train: tuple[ShardSet, ...]) -> tuple[float, ...] | None:
    """The share of each shard set, in any unit; `None` when every row is read once an epoch."""
    if len(train) == 1:
        return None
    if config.temperature is not None:
        return tuple(tempered([source.tokens for source in train], config.temperature))
    return tuple(config.train.values()) if isinstance(config.train, dict) else None


def check_sources_fit(sources: Sources, config: RunConfig) -> list[Problem]:
    """Whether the shard sets fit together, fit the model and can be read as they are to be."""
    sequence, vocabulary = config.model.sequence, config.model.vocabulary
    problems = _check_training(sources, config.data, sequence)
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


def _check_training(sources: Sources, config: DataConfig, sequence: int) -> list[Problem]:
    """Whether the training data can be mixed, packed and changed."""
    needed = sequence + slack(sequence + 1, config.augmentation.drop)
    given = sources.weights if config.temperature is None else None
    problems = check_sources(sources.train, given, needed)
    problems += _check_special(sources.train[0], config)
    if config.temperature is not None and sources.weights is not None:
        counts = apportion(sources.weights, BLOCK)
        for source in (s for s, n in zip(sources.train, counts, strict=True) if n == 0):
            rule = f"leaves less than one row in {BLOCK:,} to {source.folder}"
            fix = "raise it, or leave that set out"
            problems.append(Problem("data.temperature", config.temperature, rule, fix))
    return problems


def _check_special(shards: ShardSet, config: DataConfig) -> list[Problem]:
    """Whether the tokenizer has the special ids that the settings need."""
    needed: dict[str, tuple[str, ...]] = {}
    if config.packing != "none":
        needed[f"data.packing={config.packing}"] = ("eos", "pad")
    if config.augmentation.shuffle_sentences:
        needed["data.augmentation.shuffle_sentences=true"] = ("eos",)
    special = Card.load(shards.tokenizer).special if needed else {}
    missing = {key: [name for name in needed[key] if name not in special] for key in needed}
    return [
        Problem(
            key,
            None,
            f"the tokenizer of {shards.folder} has no id for {' and '.join(names)}",
            "leave it out, or shard the text with another tokenizer",
        )
        for key, names in missing.items()
        if names
    ]


def open_stream(sources: Sources, config: RunConfig) -> Stream:
    """Cut the training data into rows, and put these in order.

    Packing takes about a second for a million documents (see `packed`), and the tables of the
    augmentation as long for a large vocabulary; everything else takes no time.
    """
    data, train, sequence = config.data, sources.train, config.model.sequence
    if data.packing == "best_fit":
        padding = Card.load(train[0].tokenizer).special["pad"]
        packed = [PackedRows(shards, sequence, padding) for shards in train]
        return Stream(packed, sources.weights, config.seed)
    spare = slack(sequence + 1, data.augmentation.drop)
    windows = [Windows(shards, sequence, spare) for shards in train]
    if data.augmentation == Augmentation():
        return Stream(windows, sources.weights, config.seed)
    tokenizer = Tokenizer.load(train[0].tokenizer)
    return AugmentedStream(windows, sources.weights, config.seed, data.augmentation, tokenizer)


def training_batch(
    stream: Stream, plan: Plan, objective: Objective, first: int, replica: int, device: str
) -> Iterator[Batch]:
    """The micro-batches of one replica for the step that begins at a sample.

    Padding is in no label, so that nothing is learned from it.

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
        inputs, labels = objective.example(part.to(device, non_blocking=True).long())
        if stream.padding is not None:
            labels = labels.masked_fill(labels == stream.padding, objective.ignore)
        yield inputs, labels


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


def _record(source: ShardSet) -> dict[str, Any]:
    return {
        "folder": str(source.folder),
        "tokens": source.tokens,
        "documents": source.documents,
        "text_bytes": source.text_bytes,
        "fingerprint": source.fingerprint,
    }
