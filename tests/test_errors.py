from __future__ import annotations

import inspect

import pytest

from dslm import errors
from dslm.errors import DslmError, Problem, Problems, UserError, suggest


def test_a_problem_reads_as_a_sentence() -> None:
    problem = Problem("model.heads", 5, "does not divide model.width = 128", "use 4 or 8")
    assert str(problem) == "model.heads = 5: does not divide model.width = 128; use 4 or 8"


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("file", None, "is missing"), "file: is missing"),
        (Problem("key", "", "is empty"), "key = '': is empty"),
        (Problem("key", 0, "is zero"), "key = 0: is zero"),
        (Problem("key", False, "is off"), "key = False: is off"),
        (Problem("key", "two\nlines", "is text"), "key = 'two\\nlines': is text"),
    ],
)
def test_a_problem_is_one_line_whatever_was_found(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_mistake_holds_all_its_problems() -> None:
    problems = Problem("a", None, "x"), Problem("b", None, "y")
    error = UserError(*problems)
    assert error.problems == problems
    assert str(error) == "a: x\nb: y"


def test_problems_are_collected_after_a_step_that_raises() -> None:
    def fail(where: str, rule: str) -> None:
        raise UserError(Problem(where, None, rule), Problem(where, None, "too"))

    found = Problems()
    assert found.collect(len, "abc") == 3
    assert found.collect(fail, "a", rule="x") is None
    assert found.collect(fail, "b", rule="y") is None
    assert [str(problem) for problem in found.problems] == ["a: x", "a: too", "b: y", "b: too"]


def test_every_error_is_in_the_tree_of_the_docstring() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    for kind in kinds:
        if issubclass(kind, Exception):
            assert issubclass(kind, DslmError)
            assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("word", "fix"),
    [("lyers", "did you mean 'layers'?"), ("qqq", "see --help"), (7, "see --help")],
)
def test_the_nearest_word_is_suggested_and_none_where_none_is_near(word: object, fix: str) -> None:
    assert suggest(word, ["layers", "heads", 3], "see --help") == fix
