from __future__ import annotations

import numpy as np
import pytest
from helpers.shard_sets import MakeSet

from dslm.arrays import Int64Array, Tokens
from dslm.sampling.packed import PackedRows
from dslm.sampling.stream import Stream
from dslm.shards.shard_set import ShardSet

PAD = 60_000
LENGTHS = [7, 25, 10, 3, 4, 40, 1, 9, 9, 12, 6, 33]


@pytest.fixture
def shards(counted_set: MakeSet) -> ShardSet:
    return counted_set(*LENGTHS)


def everything(source: PackedRows) -> tuple[Int64Array, Int64Array]:
    """All rows, as the samples of their own numbers."""
    return np.arange(len(source)), np.arange(len(source))


def test_every_token_is_in_one_row_and_the_rest_is_padding(shards: ShardSet) -> None:
    packed = PackedRows(shards, 10, PAD)
    rows = packed.rows(*everything(packed))
    assert rows.shape == (len(packed), packed.width) == (len(packed), 10)
    assert rows.dtype == shards.dtype
    assert sorted(rows[rows != PAD].tolist()) == list(range(sum(LENGTHS)))
    assert all(np.all(np.diff(row == PAD) >= 0) for row in rows.astype(int))


def test_a_document_that_fits_a_row_is_in_one_piece(shards: ShardSet) -> None:
    packed = PackedRows(shards, 10, PAD)
    rows = packed.rows(*everything(packed)).tolist()
    first = np.cumsum(LENGTHS) - LENGTHS
    for start, length in zip(first.tolist(), LENGTHS, strict=True):
        if length <= 10:
            (row,) = [row for row in rows if start in row]
            at = row.index(start)
            assert row[at : at + length] == list(range(start, start + length))


def test_rows_come_in_the_order_they_were_asked_for(shards: ShardSet) -> None:
    packed = PackedRows(shards, 10, PAD)
    alone = [packed.rows(np.array([n]), np.array([7]))[0].tolist() for n in range(len(packed))]
    asked, nothing = np.array([5, 0, 5, 3]), np.array([], dtype=np.int64)
    assert packed.rows(asked, asked).tolist() == [alone[number] for number in asked]
    assert packed.rows(nothing, nothing).shape == (0, 10)


def test_the_spans_of_a_row_are_its_tokens(shards: ShardSet) -> None:
    packed = PackedRows(shards, 10, PAD)
    for number, row in enumerate(packed.rows(*everything(packed))):
        tokens = [token for run in packed.token_spans(number, number) for token in range(*run)]
        assert tokens == row[row != PAD].tolist()


def test_an_epoch_holds_every_packed_row_of_every_source_once(
    counted_set: MakeSet, shards: ShardSet
) -> None:
    other = counted_set(*[5] * 21, name="other")
    sources = [PackedRows(shards, 10, PAD), PackedRows(other, 10, PAD)]
    stream = Stream(sources, None, seed=3)
    every = [row for source in sources for row in source.rows(*everything(source)).tolist()]
    size = stream.samples_per_epoch
    assert size == len(every)
    for epoch in range(3):
        assert sorted(stream.rows(size * epoch, size).tolist()) == sorted(every)


@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
def test_packed_rows_are_the_same_for_any_split_of_a_batch(
    counted_set: MakeSet, shards: ShardSet, weights: list[float] | None
) -> None:
    other = counted_set(*[5] * 21, name="other")

    def rows(first: int, count: int) -> Tokens:
        sources = [PackedRows(shards, 10, PAD), PackedRows(other, 10, PAD)]
        return Stream(sources, weights, seed=1).rows(first, count)

    one = rows(120, 24)
    for replicas in (2, 3, 24):
        share = 24 // replicas
        parts = [rows(120 + share * replica, share) for replica in range(replicas)]
        assert np.array_equal(np.concatenate(parts), one)
