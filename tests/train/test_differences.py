"""What ranks have found out is compared in one place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import Problem
from dslm.train.agreement import Finding, differences


def found(rank: int, *problems: Problem, **facts: object) -> Finding:
    return Finding(rank, f"host{rank}", list(problems), {"{}": dict(facts)} if facts else {})


@given(st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_ranks_agree_exactly_when_all_values_are_the_same(values: list[int]) -> None:
    problems = differences([found(rank, lr=value) for rank, value in enumerate(values)])
    assert len(problems) == (len(set(values)) > 1)
    if problems:
        assert all(f"{value} on rank " in problems[0].rule for value in set(values))


def test_a_value_that_one_rank_lacks_is_a_difference() -> None:
    [problem] = differences([found(0, lr=1, more=2), found(1, lr=1)])
    assert str(problem).startswith("more: is 2 on rank 0 (host host0) and null on rank 1")


def test_a_mistake_of_all_ranks_is_reported_once_and_one_of_some_with_their_names() -> None:
    same, own = Problem("steps", 0, "must be at least 1"), Problem("data.train", "a", "is missing")
    problems = differences([found(0, same), found(1, same), found(2, same, own)])
    assert list(map(str, problems)) == [
        "steps = 0: must be at least 1",
        "rank 2 on host host2: data.train = 'a': is missing",
    ]
