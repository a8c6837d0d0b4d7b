from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from helpers.needs import oracle

from dslm.errors import DataError
from dslm.metrics.bootstrap import Records, difference, draws, estimate
from dslm.metrics.regression import pearson


def mean(rows: Records) -> float:
    return float(rows.mean())


def test_all_resamples_are_equally_likely() -> None:
    counts = Counter(tuple(rows.tolist()) for rows in draws(1, 27_000, 3))
    assert set(counts) == set(itertools.product(range(3), repeat=3))
    deviations = [(count - 1000) ** 2 / 1000 for count in counts.values()]
    assert sum(deviations) < 54.1  # chi-square, 26 degrees: 99.9 % below


def test_a_resample_depends_on_the_seed_and_its_number_alone() -> None:
    few, many = list(draws(7, 3, 50)), list(draws(7, 9, 50))
    assert all(np.array_equal(*pair) for pair in zip(few, many, strict=False))
    others = {tuple(rows) for seed in (7, 8) for rows in draws(seed, 9, 50)}
    assert len(others) == 18
    known = [43, 14, 21, 20, 4, 34, 14, 31]  # with numpy 2.4; no version may change them
    assert few[0][:8].tolist() == known


@pytest.mark.parametrize("records", [20, 500])
def test_the_interval_is_that_of_scipy(records: int) -> None:
    values = np.random.default_rng(records).exponential(size=records)
    found = estimate(values, mean, seed=1, resamples=20_000)
    theirs = oracle("scipy.stats").bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=1
    )
    width = found.high - found.low
    # Both ends are drawn: each is sure to 0.005 of the width, as a deviation.
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)
    assert (found.value, found.records) == (values.mean(), records)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        found = estimate(random.random(200) < 0.7, mean, seed, resamples=300)
        held += found.low <= 0.7 <= found.high
    assert 0.9 < held / 200 < 0.99  # 0.95, with a deviation of 0.015


def test_a_metric_of_several_numbers_a_record_gets_an_interval() -> None:
    random = np.random.default_rng(2)
    pairs = random.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], size=400)
    found = estimate(pairs, lambda rows: pearson(rows[:, 0], rows[:, 1]), seed=1)
    # Fisher's transformation gives the interval of a normal correlation.
    ends = [math.tanh(math.atanh(found.value) + z / math.sqrt(397)) for z in (-1.96, 1.96)]
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=0.015)


def test_resamples_without_a_value_are_left_out() -> None:
    pairs = np.array([[1.0, 2.0], [2.0, 4.0]])
    found = estimate(pairs, lambda rows: pearson(rows[:, 0], rows[:, 1]), seed=1, resamples=50)
    assert found[:4] == pytest.approx((1, 1, 1, 2))
    alike = estimate(pairs, lambda rows: math.nan, seed=1, resamples=5)
    assert all(map(math.isnan, alike[:3]))


def test_the_difference_of_a_pair_is_surer_than_that_of_two_intervals() -> None:
    random = np.random.default_rng(3)
    hard = random.normal(size=300)
    first, second = hard + 0.1 + 0.1 * random.normal(size=300), hard
    found = difference(first, second, mean, seed=1)
    alone = [estimate(system, mean, seed=1) for system in (first, second)]
    assert found.value == pytest.approx(0.1, abs=0.02)
    assert 0.08 < found.low < found.value < found.high < 0.12
    assert found.wins == 1
    assert alone[0].low < alone[1].high  # these overlap
    other = difference(second, first, mean, seed=1)
    assert other[:3] == pytest.approx((-found.value, -found.high, -found.low))
    assert other.wins == 0


def test_a_system_never_beats_itself() -> None:
    values = np.arange(10.0)
    assert difference(values, values, mean, seed=1) == (0, 0, 0, 10, 0)


def test_no_record_and_unequal_numbers_of_records_are_mistakes() -> None:
    with pytest.raises(DataError, match="records = 0"):
        estimate(np.zeros(0), mean, seed=1)
    with pytest.raises(DataError, match="predictions = 2: as many as there are right answers, 3"):
        difference(np.zeros(3), np.zeros(2), mean, seed=1)
