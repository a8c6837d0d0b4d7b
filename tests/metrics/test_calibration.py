from __future__ import annotations

import numpy as np
import pytest
from helpers.needs import oracle

from dslm.errors import DataError
from dslm.metrics.calibration import expected_calibration_error, reliability


@pytest.mark.parametrize("bins", [1, 3, 10, 15])
@pytest.mark.parametrize("records", [1, 7, 1000])
def test_the_bins_are_those_of_scikit_learn(bins: int, records: int) -> None:
    random = np.random.default_rng(records)
    confidence = random.choice(
        [random.random(records), random.integers(0, bins + 1, records) / bins]
    )
    correct = random.random(records) < confidence
    found = reliability(confidence, correct, bins)
    filled = found.counts > 0
    curve = oracle("sklearn.calibration").calibration_curve(correct, confidence, n_bins=bins)
    assert found.counts.sum() == records
    assert found.accuracy[filled].tolist() == curve[0].tolist()
    assert found.confidence[filled].tolist() == curve[1].tolist()
    assert not found.accuracy[~filled].any()
    shares = found.counts[filled] / records
    expected = (shares * np.abs(curve[0] - curve[1])).sum()
    assert expected_calibration_error(confidence, correct, bins) == pytest.approx(
        expected, abs=1e-15
    )


def test_the_error_is_the_mean_distance_of_confidence_and_accuracy() -> None:
    confidence, correct = [0.9, 0.9, 0.9, 0.9, 0.2], [1, 1, 0, 0, 0]
    error = expected_calibration_error(confidence, correct, bins=10)
    assert error == pytest.approx(0.8 * 0.4 + 0.2 * 0.2)
    assert expected_calibration_error([1, 1, 0.5, 0.5], [1, 1, 0, 1], 15) == 0
    assert expected_calibration_error([1.0], [0], 15) == 1


def test_an_edge_belongs_to_the_bin_below_and_0_to_the_first() -> None:
    assert reliability([0, 0.25, 0.5, 0.75, 1], [1] * 5, 4).counts.tolist() == [2, 1, 1, 1]


def test_no_record_and_what_is_no_probability_are_mistakes() -> None:
    with pytest.raises(DataError, match="records = 0"):
        expected_calibration_error([], [], 10)
    for strange in (1.5, -0.1, float("nan")):
        with pytest.raises(DataError, match=f"confidence = {strange}: a probability, from 0 to 1"):
            expected_calibration_error([0.5, strange], [1, 1], 10)
