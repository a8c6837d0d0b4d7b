from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dslm.data.shard_set import ShardSet
from dslm.data.stream import Stream, windows_in
from dslm.errors import DataError
from dslm.objectives.causal import Causal
from dslm.objectives.cross_entropy import IGNORE
from dslm.parallel.plan import Plan
from dslm.train.config import DataConfig
from dslm.train.data import (
    check_sources_fit,
    open_sources,
    training_batch,
    validation_batches,
    validation_windows,
)


def plan(replicas: int, micro_batch: int, accumulation: int = 1) -> Plan:
    return Plan(replicas, 1, 1, micro_batch, accumulation, sequence=8)


def step(shards: ShardSet, layout: Plan, first: int) -> list[Tensor]:
    """The rows, inputs and last label together, that each replica sees in a step."""
    stream = Stream([shards], None, 8, seed=3)
    return [
        torch.cat([torch.cat([x, y[:, -1:]], dim=1) for x, y in batch])
        for replica in range(layout.replicas)
        for batch in [list(training_batch(stream, layout, Causal(), first, replica, "cpu"))]
    ]


@pytest.fixture
def shards(shard_set: Path) -> ShardSet:
    return ShardSet.open(shard_set)


@pytest.mark.parametrize("layout", [plan(2, 2, 3), plan(3, 4), plan(1, 3, 4), plan(12, 1)])
def test_any_number_of_replicas_see_the_rows_of_one(shards: ShardSet, layout: Plan) -> None:
    (alone,) = step(shards, plan(1, 12), first=24)
    together = torch.cat(step(shards, layout, first=24))
    assert torch.equal(together, alone)


def test_a_step_has_as_many_micro_batches_as_planned(shards: ShardSet) -> None:
    stream = Stream([shards], None, 8, seed=3)
    batch = list(training_batch(stream, plan(2, 3, 4), Causal(), 0, 1, "cpu"))
    assert [(inputs.shape, labels.shape) for inputs, labels in batch] == [((3, 8), (3, 8))] * 4
    assert batch[0][0].dtype == torch.int64


@pytest.mark.parametrize("windows", [1, 5, 12, 13])
@pytest.mark.parametrize("layout", [plan(1, 4), plan(2, 3), plan(4, 4)])
def test_a_measurement_counts_every_window_once(
    shards: ShardSet, windows: int, layout: Plan
) -> None:
    counted, losses, rounds = [], [], set()
    for replica in range(layout.replicas):
        batches, scale = validation_batches(shards, windows, layout, Causal(), replica, "cpu")
        rounds.add(len(batches))
        for inputs, labels in batches:
            assert inputs.shape == labels.shape == (layout.micro_batch, 8)
            real = (labels != IGNORE).all(dim=1)
            assert ((labels == IGNORE).all(dim=1) | real).all()
            counted += inputs[real].tolist()
            losses.append(float((real * 1.0).mean()))  # as a loss of 1 for each window
    rows = shards.windows(np.arange(windows) * 8, 9)
    assert sorted(counted) == sorted(rows[:, :-1].tolist())
    assert len(rounds) == 1
    assert np.mean(losses) * scale == pytest.approx(1.0)


def test_a_measurement_reads_as_many_windows_as_there_are(shards: ShardSet) -> None:
    assert validation_windows(shards, 8, most=10) == 10
    assert validation_windows(shards, 8, most=10**9) == windows_in(shards, 8)


def test_all_missing_shard_sets_are_told_at_once() -> None:
    with pytest.raises(DataError) as told:
        open_sources(DataConfig(train={"a": 1.0, "b": 2.0}, validation="c"))
    assert [problem.where for problem in told.value.problems] == [
        "a/manifest.json",
        "b/manifest.json",
        "c/manifest.json",
    ]


def test_several_sources_keep_their_weights(shard_set: Path, make_shards: Any) -> None:
    text = (shard_set.parent / "text.txt").read_text()
    other = make_shards(text)
    sources = open_sources(DataConfig(train={str(shard_set): 0.7, str(other): 0.3}))
    assert sources.weights == (0.7, 0.3)
    assert sources.validation is None
    assert sources.tokens == 2 * len(text)
    assert [source["weight"] for source in sources.record()["train"]] == [0.7, 0.3]
    assert check_sources_fit(sources, sequence=8, vocabulary=None) == []


def test_a_single_source_needs_no_weight(shard_set: Path) -> None:
    sources = open_sources(DataConfig(train=str(shard_set), validation=str(shard_set)))
    assert sources.weights is None
    assert len(sources.all) == 2
    assert "weight" not in sources.record()["train"][0]
