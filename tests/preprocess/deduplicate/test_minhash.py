"""MinHash against the formula for how often two texts share a band."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dslm.preprocess.deduplicate.minhash import NO_WORDS, minhash
from dslm.preprocess.text.ragged import Ragged

PAIRS = 2000


def pairs(similarity: float, size: int = 180) -> Ragged[np.uint64]:
    """Sets of random shingles, each followed by one that has the given similarity to it."""
    common = round(2 * size * similarity / (1 + similarity))
    random = np.random.default_rng(0).integers(0, 1 << 64, (PAIRS, 2 * size), np.uint64)
    random[:, size : size + common] = random[:, :common]
    return Ragged.of_lengths(random.reshape(-1), np.full(2 * PAIRS, size))


@pytest.mark.parametrize("similarity", [0.5, 0.8])
def test_two_texts_share_a_band_as_often_as_the_formula_says(similarity: float) -> None:
    bands = np.array(minhash(pairs(similarity), 14, 8)).reshape(14, PAIRS, 2)
    shared = (bands[:, :, 0] == bands[:, :, 1]).any(axis=0).mean()
    expected = 1 - (1 - similarity**8) ** 14
    assert shared == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / PAIRS))


def test_one_permutation_agrees_as_often_as_sets_are_similar() -> None:
    columns = np.array(minhash(pairs(0.6), 100, 1)).reshape(100, PAIRS, 2)
    assert (columns[:, :, 0] == columns[:, :, 1]).mean() == pytest.approx(0.6, abs=0.005)


def test_unlike_texts_have_different_bands() -> None:
    for column in minhash(pairs(0.0), 100, 8):
        assert np.unique(column).size == 2 * PAIRS


def test_no_shingle_is_the_smallest_in_every_permutation() -> None:
    random = np.random.default_rng(0).integers(0, 1 << 64, (2, 50), np.uint64)
    random[:, 0] = 0
    rows = Ragged.of_lengths(random.reshape(-1), np.array([50, 50]))
    assert np.mean([left == right for left, right in minhash(rows, 100, 1)]) < 0.1


def test_repeated_shingles_and_their_order_do_not_matter() -> None:
    rows = Ragged.of_lengths(
        np.array([5, 9, 7, 7, 9, 5, 5], np.uint64) << np.uint64(40), np.array([3, 4])
    )
    assert all(column[0] == column[1] for column in minhash(rows, 3, 2))


def test_a_text_without_words_has_no_band_of_its_own() -> None:
    rows = Ragged.of_lengths(np.array([1 << 40], np.uint64), np.array([0, 1, 0]))
    for column in minhash(rows, 3, 2):
        assert (column == NO_WORDS).tolist() == [True, False, True]


def test_texts_all_without_words_have_bands_too() -> None:
    rows = Ragged.of_lengths(np.zeros(0, np.uint64), np.zeros(2, np.int64))
    assert np.array(minhash(rows, 3, 2)).tolist() == [[NO_WORDS] * 2] * 3
