from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dslm.data.stream import Stream, check_window, ordered_rows, windows_in
from dslm.errors import DataError


def test_rows_in_file_order_share_one_token(counted_set):
    rows = ordered_rows(counted_set(15, 15), 7, 1, 3)
    assert np.array_equal(rows, 7 * np.arange(1, 4)[:, None] + np.arange(8))


@pytest.mark.parametrize(("tokens", "windows"), [(1, 0), (7, 0), (8, 1), (14, 1), (15, 2)])
def test_a_window_needs_one_token_more_than_it_predicts(counted_set, tokens, windows):
    shards = counted_set(tokens)
    assert windows_in(shards, 7) == windows
    assert bool(check_window(shards, 7)) == (windows == 0)


def test_an_epoch_holds_every_window_of_every_source_once(counted_set):
    sources = [counted_set(60, 41, name="a"), counted_set(31, name="b")]
    stream = Stream(sources, None, sequence=10, seed=5)
    assert stream.samples_per_epoch == 13
    for epoch in range(3):
        rows = stream.rows(13 * epoch, 13)
        assert sorted(rows[:, 0].tolist()) == sorted([*range(0, 100, 10), 0, 10, 20])
        assert np.array_equal(rows - rows[:, :1], np.tile(np.arange(11), (13, 1)))


@pytest.mark.parametrize("weights", [None, [3.0, 1.0]])
def test_two_replicas_see_the_rows_of_one(counted_set, weights):
    sources = [counted_set(60, 40, name="a"), counted_set(90, name="b")]
    stream = Stream(sources, weights, sequence=8, seed=1)
    one = stream.rows(120, 24)
    two = [stream.rows(120 + 12 * replica, 12) for replica in range(2)]
    assert np.array_equal(one, np.concatenate(two))


def test_weights_decide_the_shares(counted_set):
    sources = [counted_set(50, name="a"), counted_set(5000, name="b")]
    rows = Stream(sources, [3, 1], sequence=10, seed=0).rows(0, 400)
    assert np.count_nonzero(rows[:, 0] < 50) >= 300


def test_seeds_give_different_orders(counted_set):
    shards = counted_set(2000)
    orders = [Stream([shards], None, 10, seed).rows(0, 50)[:, 0].tolist() for seed in (1, 2)]
    assert orders[0] != orders[1]


def test_a_stream_of_a_source_too_short_or_with_another_tokenizer_is_refused(
    counted_set, text_shards
):
    with pytest.raises(DataError) as caught:
        Stream([text_shards, counted_set(10)], [1.0], sequence=10, seed=0)
    told = str(caught.value)
    assert len(caught.value.problems) == 3
    assert "less than one window" in told
    assert "data.train = " in told
    assert "another tokenizer" in told


def test_reading_shards_imports_neither_torch_nor_pyarrow():
    program = (
        "import sys, dslm.data.stream, dslm.data.sharding, dslm.data.tokenizer_training;"
        "print({'torch', 'pyarrow', 'sentencepiece', 'datasets', 'deepspeed'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "set()\n"
