from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from helpers.needs import oracle
from hypothesis import given, settings
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.metrics import classification

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:sklearn.*")

Pairs = list[tuple[Any, Any]]


def pairs(label: some.SearchStrategy[Any]) -> some.SearchStrategy[Pairs]:
    """Right and predicted labels of 1 to 12 records."""
    return some.lists(some.tuples(label, label), min_size=1, max_size=12)


FEW = some.one_of(pairs(some.integers(0, 2)), pairs(some.sampled_from(["ja", "nein", "中", ""])))
FLAGS = some.integers(1, 4).flatmap(
    lambda count: pairs(some.lists(some.booleans(), min_size=count, max_size=count))
)


@settings(max_examples=100)
@given(FEW)
def test_scores_of_one_label_a_record_are_those_of_scikit_learn(drawn: Pairs) -> None:
    theirs, (gold, predicted) = oracle("sklearn.metrics"), zip(*drawn, strict=True)
    assert classification.accuracy(gold, predicted) == theirs.accuracy_score(gold, predicted)
    expected = theirs.f1_score(gold, predicted, average="macro", zero_division=0)
    assert classification.macro_f1(gold, predicted) == expected
    expected = theirs.matthews_corrcoef(gold, predicted)
    assert classification.matthews(gold, predicted) == expected
    expected = theirs.confusion_matrix(gold, predicted).tolist()
    assert classification.confusion_matrix(gold, predicted).tolist() == expected


@settings(max_examples=100)
@given(FLAGS)
def test_scores_of_several_labels_a_record_are_those_of_scikit_learn(drawn: Pairs) -> None:
    theirs, (gold, predicted) = oracle("sklearn.metrics"), map(np.array, zip(*drawn, strict=True))
    micro, macro = (
        theirs.f1_score(gold, predicted, average=average, zero_division=0)
        for average in ("micro", "macro")
    )
    if gold.shape[1] > 1:  # scikit-learn takes a single column for one label a record
        assert classification.multilabel_micro_f1(gold, predicted) == micro
        assert classification.multilabel_macro_f1(gold, predicted) == macro
    expected = theirs.accuracy_score(gold, predicted)
    assert classification.subset_accuracy(gold, predicted) == expected


def test_a_confusion_matrix_has_the_order_and_all_of_the_classes_asked_for() -> None:
    matrix = classification.confusion_matrix(["b", "a", "b"], ["a", "a", "b"], ["b", "c", "a"])
    assert matrix.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 1]]


def test_a_label_outside_the_classes_is_named() -> None:
    expected = "label = 'd': not one of the classes a, b"
    with pytest.raises(DataError, match=f"^{re.escape(expected)}$"):
        classification.confusion_matrix(["a"], ["d"], ["a", "b"])


METRICS = [
    classification.accuracy,
    classification.macro_f1,
    classification.matthews,
    classification.subset_accuracy,
    classification.multilabel_micro_f1,
    classification.multilabel_macro_f1,
]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_no_record_and_unequal_numbers_of_records_are_mistakes(metric: Any) -> None:
    with pytest.raises(DataError, match="records = 0: the metric is defined for 1 or more"):
        metric([], [])
    with pytest.raises(DataError, match="predictions = 1: as many as there are right answers, 2"):
        metric([[1], [0]], [[1]])
    with pytest.raises(DataError, match=r"predictions = \(2,\): of the shape of .*, \(2, 1\)$"):
        metric([[1], [0]], [1, 0])
