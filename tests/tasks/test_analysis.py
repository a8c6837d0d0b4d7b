"""What is shown of predictions is counted from them, whatever labels are."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.config.parse import parse
from dslm.objectives.base import Context
from dslm.tasks.base import Task
from dslm.tasks.example import Prediction
from dslm.tasks.registry import TASKS
from dslm.tokenizers.vocabulary import Vocabulary


def made(kind: str, **settings: Any) -> Task:
    task = TASKS[kind]
    return task(parse(task.config, settings), Context(8, 0, False, Vocabulary(9, {}, None)))


def predictions(*pairs: tuple[Any, Any]) -> list[Prediction]:
    return [Prediction(*pair) for pair in pairs]


def test_one_class_is_a_matrix() -> None:
    found = predictions((0.0, 1), (1.0, 1), (1.0, 0), (1.0, 1))
    matrix = made("classification").analysis(found, ("no", "yes"))["confusion"]
    assert matrix == {"classes": ["no", "yes"], "rows": [[0, 1], [1, 2]]}


def test_several_classes_are_each_a_row() -> None:
    found = predictions(([1.0, 0.0], [True, True]), ([1.0, 1.0], [False, False]))
    rows = made("classification", labels="several").analysis(found, ("a", "b"))["kinds"]
    assert rows == [["a", 1.0, 0.5, pytest.approx(2 / 3), 2], ["b", 0.0, 0.0, 0.0, 1]]


def test_amounts_are_pairs() -> None:
    task = made("classification", labels="amount")
    assert task.analysis(predictions((0.5, 0.25)), ("label",)) == {"amounts": [[0.5, 0.25]]}
    assert task.told(0.123456, ("label",), str) == "0.1235"


def test_entities_are_counted_by_kind_and_told_with_their_text() -> None:
    classes, task = ("O", "B-a", "B-b", "I-a"), made("tagging")
    found = predictions(([1, 3, 0, 2], [1, 3, 2, 2]), ([0], [1]))
    rows = task.analysis(found, classes)["kinds"]
    assert rows == [
        ["a", 0.5, 1.0, pytest.approx(2 / 3), 1],
        ["b", 0.5, 1.0, pytest.approx(2 / 3), 1],
    ]
    words = ["New", "York", "in", "May"]
    told = task.told([1, 3, 0, 2], classes, lambda first, last: " ".join(words[first:last]))
    assert told == "a: New York; b: May"


def test_tags_that_are_no_entities_are_a_matrix() -> None:
    classes, task = ("NOUN", "VERB"), made("tagging")
    found = predictions(([0, 1, 1], [0, 0, 1]), ([1], [1]))
    assert task.analysis(found, classes)["confusion"]["rows"] == [[1, 0], [1, 2]]
    assert task.told([0, 1], classes, lambda *_: "") == "NOUN VERB"


CHOSEN = [{"right": number, "options": ["a", "b"]} for number in (0, 1)]
FOUND = {"logs": [-3.0, -1.0], "options": ["a", "b"]}


def test_the_likeliest_option_is_right_or_not() -> None:
    task = made("choice")
    right, wrong = predictions(*((chosen, FOUND) for chosen in (CHOSEN[1], CHOSEN[0])))
    assert task.is_right(right)
    assert not task.is_right(wrong)
    assert [task.told(side, (), lambda *_: "") for side in wrong] == ["1: a", "2: b"]


SCORED: dict[str, tuple[list[Prediction], tuple[str, ...]]] = {
    "classification": (predictions((0, 1), (1, 1)), ("a", "b")),
    "tagging": (predictions(([1], [0]), ([1], [1])), ("O", "B-a")),
    "choice": (predictions((CHOSEN[1], FOUND)), ()),
}


@pytest.mark.parametrize("kind", SCORED)
def test_a_model_is_chosen_by_what_is_scored_first(kind: str) -> None:
    task, (found, classes) = made(kind), SCORED[kind]
    names = task.metrics(classes)
    assert names
    assert [*task.scores(found, classes, 0, resamples=0)][: len(names)] == [*names]
