from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.objective_kinds import made
from torch import Tensor

from dslm.errors import DataError
from dslm.objectives.batch import IGNORE
from dslm.parallel.plan import Plan
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.run.config import DataConfig, RunConfig
from dslm.run.settings import settings
from dslm.sampling.order import tempered
from dslm.sampling.packed import PackedRows
from dslm.sampling.stream import Stream, WindowSpec
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.train.batches import evaluation_rows, training_batch, validation_batches
from dslm.train.data import (
    check_sources_fit,
    objective_of,
    open_sources,
    open_stream,
)

CAUSAL = made(sequence=8)


def plan(replicas: int, micro_batch: int, accumulation: int = 1) -> Plan:
    return Plan(replicas, 1, 1, micro_batch, accumulation, sequence=8)


def config_of(*words: str) -> RunConfig:
    """Settings for windows of 8."""
    shape = ["model.heads=2", "model.width=8", "model.sequence=8"]
    return settings(["tiny", "run=run", *shape, *words], None)


def problems_of(*words: str) -> list[str]:
    """What is wrong with the data of a run."""
    config = config_of(*words)
    sources = open_sources(config.data)
    objective = objective_of(config, sources.train[0].tokenizer)
    return [str(problem) for problem in check_sources_fit(sources, config, objective)]


def stream_of(*words: str) -> Stream:
    config = config_of(*words)
    sources = open_sources(config.data)
    return open_stream(sources, config, objective_of(config, sources.train[0].tokenizer))


def step(shards: ShardSet, layout: Plan, first: int) -> list[Tensor]:
    """The rows, inputs and last label together, that each replica sees in a step."""
    stream = Stream([Windows(shards, WindowSpec(8, 1))], None, seed=3)
    return [
        torch.cat([torch.cat([x, y[:, -1:]], dim=1) for x, y in batch])
        for replica in range(layout.replicas)
        for batch in [list(training_batch(stream, layout, CAUSAL, first, replica, "cpu"))]
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
    stream = Stream([Windows(shards, WindowSpec(8, 1))], None, seed=3)
    batch = list(training_batch(stream, plan(2, 3, 4), CAUSAL, 0, 1, "cpu"))
    assert [(inputs.shape, labels.shape) for inputs, labels in batch] == [((3, 8), (3, 8))] * 4
    assert batch[0][0].dtype == torch.int64


@pytest.mark.parametrize("windows", [1, 5, 12, 13])
@pytest.mark.parametrize("layout", [plan(1, 4), plan(2, 3), plan(4, 4)])
def test_a_measurement_counts_every_window_once(
    shards: ShardSet, windows: int, layout: Plan
) -> None:
    counted, rounds = [], set()
    for replica in range(layout.replicas):
        source = evaluation_rows(shards, CAUSAL)
        batches = validation_batches(source, windows, layout, CAUSAL.batch, replica, "cpu")
        rounds.add(len(batches))
        for inputs, labels in batches:
            assert inputs.shape == labels.shape == (layout.micro_batch, 8)
            real = (labels != IGNORE).all(dim=1)
            assert ((labels == IGNORE).all(dim=1) | real).all()
            counted += inputs[real].tolist()
    rows = shards.windows(np.arange(windows) * 8, 9)
    assert sorted(counted) == sorted(rows[:, :-1].tolist())
    assert len(rounds) == 1


def test_all_missing_shard_sets_are_reported_at_once() -> None:
    with pytest.raises(DataError) as caught:
        open_sources(DataConfig(train={"a": 1.0, "b": 2.0}, validation="c"))
    assert [(problem.where, problem.found) for problem in caught.value.problems] == [
        ("data.train", "a"),
        ("data.train", "b"),
        ("data.validation", "c"),
    ]


def test_several_sources_keep_their_weights(shard_set: Path, make_shards: Any) -> None:
    text = (shard_set.parent / "text.txt").read_text()
    other = make_shards(text)
    sources = open_sources(DataConfig(train={str(shard_set): 0.7, str(other): 0.3}))
    assert sources.weights == (0.7, 0.3)
    assert sources.validation is None
    assert sources.tokens == 2 * len(text)
    assert [source["weight"] for source in sources.record()["train"]] == [0.7, 0.3]
    assert problems_of(f'data.train={{"{shard_set}": 0.7, "{other}": 0.3}}') == []


def test_a_single_source_needs_no_weight(shard_set: Path) -> None:
    sources = open_sources(DataConfig(train=str(shard_set), validation=str(shard_set)))
    assert sources.weights is None
    assert len(sources.all) == 2
    assert "weight" not in sources.record()["train"][0]


def test_sets_in_a_list_are_read_whole_once_an_epoch(shard_set: Path, make_shards: Any) -> None:
    other = make_shards((shard_set.parent / "text.txt").read_text()[::-1])
    stream = stream_of(f'data.train=["{shard_set}", "{other}"]')
    size = stream.samples_per_epoch
    assert size == sum(
        WindowSpec(8, 1).count(ShardSet.open(folder)) for folder in (shard_set, other)
    )
    expected = [ShardSet.open(f).windows(np.arange(size // 2) * 8, 9) for f in (shard_set, other)]
    rows = stream.rows(0, size)
    assert sorted(rows.tolist()) == sorted(np.concatenate(expected).tolist())


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_a_temperature_makes_the_shares_and_the_record_holds_them(
    pieces: Path, temperature: float
) -> None:
    small = pieces.parent / "small"
    (pieces.parent / "one.txt").write_text("The 1 of 1 and more. " * 20)
    shard([pieces.parent / "one.txt"], small, ShardingConfig(pieces.parent / "tokenizer"))
    words = f'data.train=["{pieces}", "{small}"]', f"data.temperature={temperature}"
    sources = open_sources(config_of(*words).data)
    shares = tempered([source.tokens for source in sources.train], temperature)
    assert [source["share"] for source in sources.record()["train"]] == pytest.approx(shares)
    assert stream_of(*words).shares == pytest.approx(shares)
    assert problems_of(*words) == []


def test_a_temperature_that_starves_a_set_is_refused(pieces: Path) -> None:
    small = pieces.parent / "small"
    (pieces.parent / "one.txt").write_text("The 1 of 1 and more. " * 4)
    shard([pieces.parent / "one.txt"], small, ShardingConfig(pieces.parent / "tokenizer"))
    (problem,) = problems_of(f'data.train=["{pieces}", "{small}"]', "data.temperature=0.2")
    assert problem == (
        f"data.temperature = 0.2: leaves less than one row in 1,024 to {small}; "
        "raise it, or leave that set out"
    )


def test_a_temperature_changes_nothing_for_a_single_set(shard_set: Path) -> None:
    plain = stream_of(f"data.train={shard_set}")
    mixed = stream_of(f"data.train={shard_set}", "data.temperature=5")
    assert np.array_equal(plain.rows(9, 20), mixed.rows(9, 20))


@pytest.mark.parametrize("static", [False, True])
def test_rows_that_are_always_masked_alike_are_the_same_in_each_epoch(
    pieces: Path, static: bool
) -> None:
    masked = f"objective.masked.static={str(static).lower()}"
    stream = stream_of(f"data.train={pieces}", "objective.kind=masked", masked)
    size = stream.samples_per_epoch
    first, second = (stream.rows(epoch * size, size).tolist() for epoch in range(2))
    assert (sorted(first) == sorted(second)) == static


@pytest.mark.parametrize("layout", [plan(2, 2, 3), plan(12, 1)])
def test_padding_of_packed_rows_is_no_label(pieces: Path, layout: Plan) -> None:
    stream = stream_of(f"data.train={pieces}", "data.packing=best_fit")
    (source,) = stream.sources
    assert isinstance(source, PackedRows)
    samples = stream.samples(24, 12)
    rows, text = torch.from_numpy(samples.tokens).long(), torch.from_numpy(samples.text)
    batches = [
        batch
        for replica in range(layout.replicas)
        for batch in training_batch(stream, layout, CAUSAL, 24, replica, "cpu")
    ]
    assert torch.equal(torch.cat([inputs for inputs, _ in batches]), rows[:, :-1])
    labels, after = torch.cat([labels for _, labels in batches]), rows[:, 1:]
    assert not text.all()
    assert torch.equal(labels != IGNORE, text[:, 1:])
    assert (rows[~text] == source.padding).all()
    assert torch.equal(labels[labels != IGNORE], after[labels != IGNORE])


def test_windows_have_a_label_at_every_position(pieces: Path) -> None:
    stream = stream_of(f"data.train={pieces}")
    for inputs, labels in training_batch(stream, plan(1, 4, 5), CAUSAL, 0, 0, "cpu"):
        assert inputs.min() >= 0
        assert labels.min() >= 0


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("data.packing=best_fit", "needs ids for eos, which the tokenizer of"),
        ("data.augmentation.shuffle_sentences=true", "needs ids for eos, which the tokenizer of"),
    ],
)
def test_a_tokenizer_without_the_ids_needed_is_refused(
    shard_set: Path, word: str, line: str
) -> None:
    (problem,) = problems_of(f"data.train={shard_set}", word)
    assert problem.startswith(f"{word}: {line} {shard_set} lacks; ")


def test_augmentation_that_drops_needs_tokens_to_spare(make_shards: Any) -> None:
    folder = make_shards("abcdefghijk")
    assert problems_of(f"data.train={folder}") == []
    assert (
        "less than one row of"
        in problems_of(f"data.train={folder}", "data.augmentation.drop=0.5")[0]
    )


def test_augmented_rows_are_the_same_at_any_layout(pieces: Path) -> None:
    words = [f"data.train={pieces}", "data.augmentation.shuffle_sentences=true"]
    words += ["data.augmentation.drop=0.2", "data.augmentation.replace=0.2"]
    stream = stream_of(*words)
    whole = torch.from_numpy(stream.rows(24, 12)).long()
    assert whole.shape == (12, 9)
    for layout in (plan(2, 2, 3), plan(3, 4), plan(12, 1)):
        seen = [
            inputs
            for replica in range(layout.replicas)
            for inputs, _ in training_batch(stream_of(*words), layout, CAUSAL, 24, replica, "cpu")
        ]
        assert torch.equal(torch.cat(seen), whole[:, :-1])
    plain = stream_of(f"data.train={pieces}").rows(24, 12)
    assert not np.array_equal(plain, whole.numpy())
