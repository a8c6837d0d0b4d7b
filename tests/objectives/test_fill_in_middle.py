"""Fill in the middle: nothing lost but the last three tokens, by the sample number alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.objective_kinds import made

from dslm.sampling.stream import Samples

BEFORE, BEHIND, BETWEEN = MARKS = [100, 101, 102]
WIDTH = 25


def samples_of(numbers: range) -> Samples:
    """Rows in which no token is twice."""
    order = np.array(numbers)
    tokens = np.stack([np.random.default_rng(n).permutation(100)[:WIDTH] for n in numbers])
    return Samples(tokens, order, order)


def rows(numbers: range, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """The texts, and the rows that the objective makes of them."""
    samples = samples_of(numbers)
    inputs, labels = made("causal", WIDTH - 1, **settings).batch(samples)
    whole = np.concatenate([inputs.numpy(), labels.numpy()[:, -1:]], axis=1)
    assert np.array_equal(whole[:, 1:], labels.numpy())
    return samples.tokens, whole


def restored(row: np.ndarray) -> np.ndarray:
    """The text of a rearranged row, by its marks."""
    before, behind, between = (row.tolist().index(mark) for mark in MARKS)
    assert before == 0
    prefix, suffix = row[1:behind], row[behind + 1 : between]
    if behind == 1:  # the suffix came first: prefix and middle are in one piece
        return np.concatenate([row[between + 1 :], suffix])
    return np.concatenate([prefix, row[between + 1 :], suffix])


@pytest.mark.parametrize("suffix_first", [0.0, 0.5, 1.0])
def test_nothing_of_a_text_is_lost_but_its_last_three_tokens(suffix_first: float) -> None:
    texts, made_of = rows(range(300), fill_in_middle=1.0, suffix_first=suffix_first)
    for text, row in zip(texts, made_of, strict=True):
        assert np.array_equal(restored(row), text[:-3])


def test_the_shares_of_rows_and_of_their_orders_are_those_of_the_settings() -> None:
    texts, made_of = rows(range(4000), fill_in_middle=0.3, suffix_first=0.8)
    rearranged = made_of[:, 0] == BEFORE
    assert rearranged.mean() == pytest.approx(0.3, abs=0.025)
    assert np.array_equal(made_of[~rearranged], texts[~rearranged])
    # Nothing but an empty prefix looks the same, one row in some hundred.
    assert (made_of[rearranged, 1] == BEHIND).mean() == pytest.approx(0.8 + 0.2 * 2 / 23, abs=0.035)


def test_every_cut_of_a_text_can_be_drawn() -> None:
    _, made_of = rows(range(4000), fill_in_middle=1.0, suffix_first=0.0)
    prefixes = [row.tolist().index(BEHIND) - 1 for row in made_of]
    middles = [WIDTH - 1 - row.tolist().index(BETWEEN) for row in made_of]
    assert set(prefixes) == set(middles) == set(range(WIDTH - 2))
    assert np.mean(middles) == pytest.approx((WIDTH - 3) / 3, abs=0.5)


def test_a_row_follows_from_its_sample_number_alone() -> None:
    _, whole = rows(range(24), fill_in_middle=0.5)
    for share in (1, 3, 8):
        pieces = [rows(range(n, n + share), fill_in_middle=0.5)[1] for n in range(0, 24, share)]
        assert np.array_equal(np.concatenate(pieces), whole)


def test_another_epoch_cuts_the_same_text_elsewhere() -> None:
    objective, first = made("causal", WIDTH - 1, fill_in_middle=1.0), samples_of(range(5))
    later = Samples(first.tokens, first.numbers + 1000, first.indices)
    assert not np.array_equal(objective.batch(first)[0], objective.batch(later)[0])


def test_the_marks_are_ids_of_its_own_and_only_then() -> None:
    assert made("causal", fill_in_middle=0.5).extra_ids == 3
    assert made("causal").extra_ids == 0
