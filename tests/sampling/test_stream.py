from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers.shard_sets import MakeSet

from dslm.errors import DataError
from dslm.sampling.order import Mixture
from dslm.sampling.stream import Stream, WindowSpec, check_window, ordered
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet


def stream_of(
    *shards: ShardSet, weights: list[float] | None = None, sequence: int = 10, seed: int = 0
) -> Stream:
    return Stream([Windows(one, WindowSpec(sequence, 1)) for one in shards], weights, seed)


def test_rows_in_file_order_share_one_token(counted_set: MakeSet) -> None:
    samples = ordered(Windows(counted_set(15, 15), WindowSpec(7, overlap=1)), 1, 3)
    assert np.array_equal(samples.tokens, 7 * np.arange(1, 4)[:, None] + np.arange(8))
    assert samples.numbers.tolist() == samples.indices.tolist() == [1, 2, 3]


def test_past_the_last_row_in_file_order_it_is_given_again(counted_set: MakeSet) -> None:
    samples = ordered(Windows(counted_set(15, 15), WindowSpec(10)), 1, 4)
    assert samples.tokens[:, 0].tolist() == [10, 20, 20, 20]


@pytest.mark.parametrize(("tokens", "windows"), [(1, 0), (7, 0), (8, 1), (14, 1), (15, 2)])
def test_a_window_needs_one_token_more_than_it_predicts(
    counted_set: MakeSet, tokens: int, windows: int
) -> None:
    shards = counted_set(tokens)
    spec = WindowSpec(7, overlap=1)
    assert spec.count(shards) == windows
    assert bool(check_window(shards, spec.width)) == (windows == 0)


def test_without_shifts_an_epoch_holds_every_window_of_every_source_once(
    counted_set: MakeSet,
) -> None:
    sources = [counted_set(60, 41, name="a"), counted_set(31, name="b")]
    windows = [Windows(one, WindowSpec(10, 1)) for one in sources]
    stream = Stream(windows, None, 5, shifted=False)
    assert stream.samples_per_epoch == 13
    for epoch in range(3):
        rows = stream.rows(13 * epoch, 13)
        assert sorted(rows[:, 0].tolist()) == sorted([*range(0, 100, 10), 0, 10, 20])
        assert np.array_equal(rows - rows[:, :1], np.tile(np.arange(11), (13, 1)))


@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
def test_two_replicas_see_the_rows_of_one(
    counted_set: MakeSet, weights: list[float] | None
) -> None:
    sources = [counted_set(60, 40, name="a"), counted_set(90, name="b")]
    stream = stream_of(*sources, weights=weights, sequence=8, seed=1)
    one = stream.rows(120, 24)
    two = [stream.rows(120 + 12 * replica, 12) for replica in range(2)]
    assert np.array_equal(one, np.concatenate(two))


def test_weights_decide_the_shares(counted_set: MakeSet) -> None:
    sources = [counted_set(50, name="a"), counted_set(5000, name="b")]
    rows = stream_of(*sources, weights=[3, 1]).rows(0, 400)
    assert np.count_nonzero(rows[:, 0] < 50) >= 300


def test_a_row_is_the_window_that_the_order_names(counted_set: MakeSet) -> None:
    sources = [counted_set(600, 400, name="a"), counted_set(900, name="b")]
    chosen, _, windows = Mixture([99, 89], [3.0, 1.0], seed=4)(np.arange(70, 100))
    rows = stream_of(*sources, weights=[3.0, 1.0], seed=4).rows(70, 30)
    for row, source, window in zip(rows, chosen, windows, strict=True):
        assert np.array_equal(row, sources[source].windows(window[None] * 10, 11)[0])


def test_shares_and_epochs_of_each_source_are_reported(counted_set: MakeSet) -> None:
    sources = [counted_set(101, name="a"), counted_set(301, name="b")]
    mixed, whole = stream_of(*sources, weights=[3, 1]), stream_of(*sources)
    assert (mixed.shares, whole.shares) == ([0.75, 0.25], [0.25, 0.75])
    assert mixed.epochs(40) == [3.0, pytest.approx(1 / 3)]
    assert whole.epochs(40) == [1.0, 1.0]


def test_the_spans_of_samples_are_where_their_rows_are(counted_set: MakeSet) -> None:
    sources = [counted_set(101, name="a"), counted_set(301, name="b")]
    stream = stream_of(*sources, weights=[1, 1], seed=2)
    for row, (source, runs) in zip(stream.rows(5, 30), stream.token_spans(5, 30), strict=True):
        parts = [sources[source].windows(np.array([a]), b - a)[0] for a, b in runs]
        assert np.array_equal(row, np.concatenate(parts))


@pytest.mark.parametrize("margin", [1, 4, 30])
def test_margin_is_what_follows_a_window_around_the_set(counted_set: MakeSet, margin: int) -> None:
    windows = Windows(counted_set(60, 41), WindowSpec(10, 1), margin)
    rows = windows.rows(np.arange(10), np.arange(10))
    assert rows.shape == (10, windows.width) == (10, 11 + margin)
    for number, row in enumerate(rows.tolist()):
        assert row == [token % 101 for token in range(10 * number, 10 * number + 11 + margin)]
        assert [
            token for run in windows.token_spans(number, number) for token in range(*run)
        ] == row


def test_sentences_of_rows_lie_in_their_margin_as_well(text_shards: ShardSet) -> None:
    windows = Windows(text_shards, WindowSpec(50, 1), 20)
    numbers = np.array([3, 0, len(windows) - 1])
    tokens = [
        np.concatenate([np.arange(*r) for r in windows.token_spans(n, n)]) for n in numbers.tolist()
    ]
    everywhere = text_shards.sentence_starts(np.array([0]), text_shards.tokens)[0]
    assert np.array_equal(windows.sentences(numbers, numbers), everywhere[np.array(tokens)])


def test_seeds_give_different_orders(counted_set: MakeSet) -> None:
    shards = counted_set(2000)
    orders = [stream_of(shards, seed=seed).rows(0, 50)[:, 0].tolist() for seed in (1, 2)]
    assert orders[0] != orders[1]


def test_a_stream_of_a_source_too_short_or_with_another_tokenizer_is_refused(
    counted_set: MakeSet, text_shards: ShardSet
) -> None:
    with pytest.raises(DataError) as caught:
        stream_of(text_shards, counted_set(10), weights=[1.0])
    reported = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "less than one row" in reported
    assert "data.train = " in reported
    assert "another tokenizer" in reported


def test_reading_shards_imports_neither_torch_nor_pyarrow() -> None:
    program = (
        "import sys, dslm.sampling.stream, dslm.preprocess.shard, dslm.preprocess.train_tokenizer;"
        "print({'torch', 'pyarrow', 'sentencepiece', 'datasets', 'deepspeed'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
