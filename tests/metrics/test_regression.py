from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from helpers.needs import oracle
from hypothesis import given, settings
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.metrics.regression import pearson, ranks, spearman

NUMBER = some.one_of(some.integers(-3, 3).map(float), some.floats(-1e6, 1e6))
PAIRS = some.lists(some.tuples(NUMBER, NUMBER), min_size=2, max_size=12)


def constant(values: list[float]) -> bool:
    return len(set(values)) == 1


@settings(max_examples=200)
@given(PAIRS)
def test_the_correlation_of_ranks_is_that_of_scipy(drawn: list[tuple[float, float]]) -> None:
    gold, predicted = map(list, zip(*drawn, strict=True))
    theirs = oracle("scipy.stats")
    assert ranks(np.array(gold)).tolist() == theirs.rankdata(gold).tolist()
    found = spearman(gold, predicted)
    if constant(gold) or constant(predicted):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(theirs.spearmanr(gold, predicted)[0], abs=1e-14)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("records", [2, 3, 100, 10_000])
def test_the_correlation_is_that_of_scipy(records: int, scale: float) -> None:
    random = np.random.default_rng(records)
    gold = random.normal(size=records) * scale
    predicted = 0.3 * gold / scale + random.normal(size=records)
    expected = oracle("scipy.stats").pearsonr(gold, predicted)[0]
    assert pearson(gold, predicted) == pytest.approx(expected, abs=1e-14)


def test_a_line_correlates_wholly_and_its_mirror_too() -> None:
    values = np.arange(7) * 1e200  # whose squares no float holds
    assert pearson(values, 3 * values + 1) == pytest.approx(1, abs=1e-15)
    assert pearson(values, -values) == pytest.approx(-1, abs=1e-15)


@pytest.mark.parametrize("metric", [pearson, spearman])
def test_a_constant_side_correlates_with_nothing(metric: Callable[..., float]) -> None:
    assert math.isnan(metric([0.1] * 3, [1, 2, 3]))
    assert math.isnan(metric([1, 2, 3], [0.1] * 3))


@pytest.mark.parametrize("metric", [pearson, spearman])
def test_one_record_and_unequal_numbers_of_records_are_mistakes(
    metric: Callable[..., float],
) -> None:
    with pytest.raises(DataError, match="records = 1: the metric is defined for 2 or more"):
        metric([1.0], [1.0])
    with pytest.raises(DataError, match="predictions = 3: as many as there are right answers, 2"):
        metric([1, 2], [1, 2, 3])
