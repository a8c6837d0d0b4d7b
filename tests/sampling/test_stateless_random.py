from __future__ import annotations

import numpy as np
import pytest

from dslm.sampling.stateless_random import RandomStream, stateless_random

ROWS = np.arange(4000)


def test_numbers_are_uniform() -> None:
    numbers = stateless_random(1, ROWS, 100, RandomStream.CHOICE).ravel()
    assert 0 <= numbers.min() < 1e-4
    assert 1 - 1e-4 < numbers.max() < 1
    counts = np.histogram(numbers, bins=100, range=(0, 1))[0]
    expected = numbers.size / 100
    assert ((counts - expected) ** 2 / expected).sum() < 150  # chi-square, 99 degrees: 99.9 % below


def test_it_is_the_generator_of_the_paper() -> None:
    """From Java's SplittableRandom and the reference in C: outputs of the state 0."""
    from dslm.sampling.order import mix
    from dslm.sampling.stateless_random import GOLDEN

    outputs = mix(np.arange(1, 4, dtype=np.uint64) * GOLDEN)
    known = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert outputs.tolist() == known


@pytest.mark.parametrize("width", [1, 7, 64])
def test_a_number_is_the_same_in_any_batch_and_row_of_any_width(width: int) -> None:
    whole = stateless_random(3, ROWS[:50], 64, RandomStream.CHANGE)
    part = stateless_random(3, ROWS[20:30], width, RandomStream.CHANGE)
    assert np.array_equal(part, whole[20:30, :width])


def test_samples_seeds_streams_and_positions_have_numbers_of_their_own() -> None:
    rows = [
        stateless_random(seed, ROWS[:200], 500, stream)
        for seed in (0, 1)
        for stream in (RandomStream.CHOICE, RandomStream.CHANGE)
    ]
    overlaps = np.abs(np.corrcoef(np.concatenate(rows)) - np.eye(800))
    assert overlaps.max() < 0.3  # of unrelated rows of 500 numbers: 0.045 a deviation
    neighbours = [np.corrcoef(row[:, 1:].ravel(), row[:, :-1].ravel())[0, 1] for row in rows]
    assert np.abs(neighbours).max() < 0.02
