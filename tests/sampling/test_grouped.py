"""Examples of nearly equal length come together, and each is still read once an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.sampling.grouped import GROUP, GroupedStream, grouped
from dslm.sampling.order import BLOCK
from dslm.sampling.stream import Stream


class Examples:
    """Rows of so many tokens, without a shard set."""

    width, dtype, tokens = 64, np.dtype(np.uint16), 10**6
    tokenizer_sha256, begin, tokenizer, folder = "", (), "", ""

    def __init__(self, lengths: np.ndarray) -> None:
        self.all, self.shards = lengths, self

    def __len__(self) -> int:
        return self.all.size

    def unlike(self, *_: object) -> None:
        """Every set fits every other."""

    def sizes(self, indices: np.ndarray) -> np.ndarray:
        """Their tokens."""
        return self.all[indices]

    def lengths(self, indices: np.ndarray, _: np.ndarray) -> np.ndarray:
        """The same."""
        return self.all[indices]

    def rows(self, indices: np.ndarray, *_: object) -> np.ndarray:
        """Each row holds its own number."""
        return np.repeat(indices[:, None], self.width, axis=1)


def sources(*sizes: int) -> list[Any]:
    draw = np.random.default_rng(0)
    return [Examples(draw.integers(1, 64, size)) for size in sizes]


def padded(stream: Stream, batch: int, batches: int) -> float:
    """The share of padding in batches that are as wide as their longest row."""
    found = [stream.samples(n * batch, batch).lengths for n in range(batches)]
    widest = sum(batch * int(lengths.max()) for lengths in found if lengths is not None)
    return 1 - sum(int(lengths.sum()) for lengths in found if lengths is not None) / widest


@pytest.mark.parametrize("sizes", [(3000,), (700, 900), (5,), (1, 40), (BLOCK,)])
def test_every_epoch_reads_every_row_once(sizes: tuple[int, ...]) -> None:
    stream, size = GroupedStream(sources(*sizes), 3), sum(sizes)
    for epoch in range(3):
        spans = [stream._locate(np.arange(epoch * size, (epoch + 1) * size))[:2]]
        rows = [pair for one in spans for pair in zip(*map(np.ndarray.tolist, one), strict=True)]
        assert sorted(rows) == [(n, row) for n, many in enumerate(sizes) for row in range(many)]


def test_little_of_a_batch_is_padding_whatever_its_size() -> None:
    made = sources(5000)
    for batch in (8, 16, 32):
        assert padded(Stream(made, None, 1), batch, 150) > 0.4
        assert padded(GroupedStream(made, 1), batch, 150) < 0.1


def test_groups_come_in_no_order_of_length() -> None:
    lengths = GroupedStream(sources(5000), 1).samples(0, BLOCK).lengths
    assert lengths is not None
    means = lengths.reshape(-1, GROUP).mean(1)
    assert abs(np.corrcoef(means, np.arange(means.size))[0, 1]) < 0.5
    assert not np.array_equal(means, np.sort(means))


@given(st.integers(0, 6000), st.integers(1, 90))
def test_a_part_of_the_order_is_that_of_the_whole(first: int, count: int) -> None:
    made = sources(1500)
    whole = GroupedStream(made, 7)._locate(np.arange(first, first + count))
    stream = GroupedStream(made, 7)
    single = [stream._locate(np.array([n])) for n in range(first, first + count)]
    for side, parts in zip(whole, zip(*single, strict=True), strict=True):
        assert np.array_equal(side, np.concatenate(parts))


@given(st.lists(st.integers(1, 9), max_size=150), st.integers(0, 100))
def test_what_does_not_fill_a_group_is_at_both_ends(lengths: list[int], place: int) -> None:
    sizes = np.array(lengths, dtype=np.int64)
    order = grouped(sizes, "key", place + np.arange(sizes.size))
    assert sorted(order.tolist()) == [*range(sizes.size)]
    first = min(-place % GROUP, sizes.size)
    assert sizes[order[:first]].tolist() == sorted(lengths)[:first]
