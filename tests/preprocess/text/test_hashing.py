from __future__ import annotations

import numpy as np
import pytest

from dslm.preprocess.text.hashing import SpanHashes, combined, run_hashes, spread

MODULUS = 1 << 64


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 13])
def test_hashes_of_runs_are_those_of_the_formula(length: int) -> None:
    values, factor = [3, 1, 2**63, 3, 1, 7, 2**64 - 1, 3, 1, 2**63], 0xD6E8FEB86659FD93
    expected = [
        sum(v * factor ** (length - 1 - k) for k, v in enumerate(values[at : at + length]))
        % MODULUS
        for at in range(max(0, len(values) - length + 1))
    ]
    assert run_hashes(np.array(values, np.uint64), length, factor).tolist() == expected


def test_runs_go_along_the_first_axis() -> None:
    values = np.arange(12, dtype=np.uint64).reshape(4, 3)
    columns = [run_hashes(values[:, column].copy(), 3).tolist() for column in range(3)]
    assert run_hashes(values, 3).T.tolist() == columns


def test_the_hash_of_a_span_does_not_depend_on_where_it_is() -> None:
    text = np.frombuffer(b"abcabdabc", np.uint8)
    starts = np.arange(0, 9, 3)
    first, second, third = SpanHashes(text)(starts, starts + 3).tolist()
    assert first == third != second
    (alone,) = SpanHashes(text[3:6])(np.array([0]), np.array([3]))
    assert alone == second


def test_different_pairs_of_numbers_have_different_hashes() -> None:
    left, right = (part.ravel() for part in np.meshgrid(np.arange(300), np.arange(300)))
    assert np.unique(combined(left, right)).size == 300 * 300


def test_spreading_loses_nothing_and_reaches_every_bit() -> None:
    found = spread(np.arange(1 << 12, dtype=np.uint64))
    assert np.unique(found).size == 1 << 12
    share = np.unpackbits(found.view(np.uint8).reshape(-1, 8), axis=1).mean(axis=0)
    assert ((share > 0.45) & (share < 0.55)).all()
