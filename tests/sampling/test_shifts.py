"""In each epoch the windows of a set begin elsewhere, and hold each of its tokens once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers.shard_sets import MakeSet, write_set
from hypothesis import given, settings
from hypothesis import strategies as some

from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.sampling.pairs import PairRows
from dslm.sampling.shifts import first_tokens, shifts
from dslm.sampling.stream import Stream, WindowSpec, ordered
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer


def numbered(folder: Path, tokens: int, documents: int = 3) -> ShardSet:
    """A set whose n-th token is n, in two shards where it has several documents."""
    parts = np.array_split(np.arange(tokens), documents)
    halves = [parts[: (documents + 1) // 2], parts[(documents + 1) // 2 :]]
    return write_set(folder, [half for half in halves if half], 50)


def stream_of(
    *shards: ShardSet, stride: int = 10, overlap: int = 1, seed: int = 0, shifted: bool = True
) -> Stream:
    windows = [Windows(one, WindowSpec(stride, overlap)) for one in shards]
    return Stream(windows, None, seed, shifted=shifted)


@settings(max_examples=60)
@given(
    tokens=some.integers(9, 300),
    stride=some.integers(1, 8),
    overlap=some.integers(0, 1),
    epoch=some.integers(0, 10**9),
    seed=some.integers(0, 10**6),
)
def test_each_token_is_in_one_window_of_an_epoch_but_for_less_than_a_window(
    tokens: int, stride: int, overlap: int, epoch: int, seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shards = numbered(Path(folder) / "set", tokens)
        stream = stream_of(shards, stride=stride, overlap=overlap, seed=seed)
        size = stream.samples_per_epoch
        rows = stream.rows(epoch * size, size).astype(np.int64)
    assert size == (tokens - overlap) // stride
    assert np.array_equal(rows, (rows[:, :1] + np.arange(stride + overlap)) % tokens)
    times = np.bincount(rows[:, :stride].ravel(), minlength=tokens)
    assert times.max() == 1
    assert np.count_nonzero(times == 0) == tokens - size * stride < stride + overlap


def test_borders_and_what_is_left_over_are_elsewhere_in_each_epoch(counted_set: MakeSet) -> None:
    stream = stream_of(counted_set(60, 48))
    rows = [stream.rows(10 * epoch, 10)[:, :10] for epoch in range(400)]
    assert sorted(rows[0][:, 0].tolist()) == [*range(0, 100, 10)]
    left = [set(range(108)) - set(map(int, one.ravel())) for one in rows]
    assert all(len(tokens) == 8 for tokens in left)
    counts = np.bincount([token for one in left[1:] for token in one], minlength=108)
    assert counts.min() > 5
    assert counts.max() < 70  # 30 expected


def test_the_first_epoch_is_that_without_shifts_and_held_out_text_has_none(
    counted_set: MakeSet,
) -> None:
    shards = counted_set(60, 41)
    plain, shifted = (stream_of(shards, shifted=on) for on in (False, True))
    assert np.array_equal(plain.rows(0, 10), shifted.rows(0, 10))
    assert not np.array_equal(plain.rows(10, 10), shifted.rows(10, 10))
    for first in (0, 3):
        held_out = ordered(Windows(shards, WindowSpec(10, 1)), first, 5).tokens[:, 0]
        assert held_out.tolist() == [*range(10 * first, 10 * first + 50, 10)]


@pytest.mark.parametrize("margin", [0, 7])
@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
def test_rows_are_where_their_spans_say_in_any_batch(
    counted_set: MakeSet, weights: list[float] | None, margin: int
) -> None:
    sources = [counted_set(60, 41, name="a"), counted_set(95, name="b")]
    stream = Stream([Windows(one, WindowSpec(10, 1), margin) for one in sources], weights, 4)
    rows = stream.rows(7, 180)
    parts = [stream.rows(7 + 20 * replica, 20) for replica in range(9)]
    assert np.array_equal(rows, np.concatenate(parts))
    spans = stream.token_spans(7, 180)
    assert {len(found) for _, found in spans} == {1, 2}
    for row, (source, found) in zip(rows, spans, strict=True):
        read = [sources[source].windows(np.array([a]), b - a)[0] for a, b in found]
        assert np.array_equal(row, np.concatenate(read))


def test_sources_have_shifts_of_their_own_and_another_one_changes_none() -> None:
    sources, epochs = np.tile([0, 1], 4), np.repeat(np.arange(4), 2)
    found = shifts(3, sources, epochs, 2)
    assert found[:2].tolist() == [0, 0]
    assert np.unique(found[2:]).size == 6
    assert np.array_equal(found, shifts(3, sources, epochs, 5))
    assert not np.isin(found[2:], shifts(4, sources, epochs, 2)).any()


def test_every_place_of_a_set_of_many_tokens_can_be_a_beginning() -> None:
    tokens = 3 * 10**12 + 1
    last = np.nextafter(1.0, 0.0)
    assert first_tokens(np.array([0]), 10, tokens, last)[0] == tokens - 1
    assert first_tokens(np.array([5]), 10, tokens, last)[0] == 49


def test_sentences_are_marked_where_shifted_rows_have_them(tmp_path: Path, unigram: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(" ".join(f"The river falls {'under ' * (n % 7)}stone." for n in range(90)))
    shards = shard([file], tmp_path / "set", ShardingConfig(unigram))[0]
    windows, numbers = Windows(shards, WindowSpec(50, 1), 20), np.arange(5)
    everywhere = shards.sentence_starts(np.array([0]), shards.tokens)[0]
    for shift in (0.0, 0.3, 0.999):
        places = [
            np.concatenate([np.arange(*span) for span in windows.token_spans(n, n, shift)])
            for n in numbers.tolist()
        ]
        found = windows.sentences(numbers, numbers, shift)
        assert np.array_equal(found, everywhere[np.array(places)])


def test_pairs_begin_at_other_sentences_in_the_next_epoch(tmp_path: Path, unigram: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(" ".join(["The stone falls."] * 40) for _ in range(20)))
    shards = shard([file], tmp_path / "set", ShardingConfig(unigram))[0]
    special = load_tokenizer(unigram).special
    source = PairRows(shards, 40, "sentence_order", special, 0.0, 3)
    numbers = np.arange(len(source))
    begins = [
        {min(a for a, _ in source.token_spans(n, 0, shift)) for n in numbers.tolist()}
        for shift in (0.0, 0.0, 0.4321)
    ]
    assert begins[0] == begins[1]
    assert len(begins[2] - begins[0]) > len(source) / 4
