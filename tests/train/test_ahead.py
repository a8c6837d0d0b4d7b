from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dslm.errors import DataError, Problem
from dslm.objectives.batch import Batch
from dslm.train.ahead import BatchesAhead


def step(first: int) -> Iterator[Batch]:
    """Two micro-batches that say of which step they are."""
    for number in range(2):
        yield torch.tensor([first, number]), torch.tensor([first])


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


@given(orders=st.lists(st.tuples(st.sampled_from(["begin", "take", "forget"]), st.integers(0, 3))))
def test_whatever_was_begun_or_forgotten_a_step_is_that_of_its_first_sample(
    orders: list[tuple[str, int]],
) -> None:
    ahead = BatchesAhead(step, "cpu")
    with ahead.running():
        for order, first in orders:
            if order == "begin":
                ahead.begin(first)
            elif order == "forget":
                ahead.forget()
            else:
                assert _numbers(ahead.batches(first)) == _numbers(step(first))
    assert not threads()


def _numbers(batches: Iterable[Batch]) -> list[list[list[int]]]:
    return [[tensor.tolist() for tensor in batch] for batch in cast("Any", batches)]


def test_a_step_is_made_while_nobody_waits_for_it_and_once() -> None:
    made: list[int] = []

    def noting(first: int) -> Iterator[Batch]:
        made.append(first)
        return step(first)

    ahead = BatchesAhead(noting, "cpu")
    with ahead.running():
        ahead.begin(5)
        end = time.monotonic() + 60
        while not made and time.monotonic() < end:
            time.sleep(0.001)
        assert made == [5]
        assert ahead.batches(5) is ahead.batches(5)
    assert made == [5]


def test_an_error_is_raised_by_the_step_it_belongs_to_and_leaves_no_thread() -> None:
    def damaged(first: int) -> Iterator[Batch]:
        if first == 2:
            raise DataError(Problem("shard", None, "is damaged", "copy it again"))
        return step(first)

    ahead = BatchesAhead(damaged, "cpu")
    with ahead.running():
        ahead.begin(2)
        assert len(ahead.batches(1)) == 2
        ahead.begin(2)
    assert not threads()

    again = BatchesAhead(damaged, "cpu")
    with pytest.raises(DataError, match="shard: is damaged"), again.running():
        again.batches(2)
    assert not threads()


def test_the_end_waits_for_what_is_being_made() -> None:
    begun, ended = threading.Event(), threading.Event()

    def slow(first: int) -> Iterator[Batch]:
        begun.set()
        time.sleep(0.1)
        ended.set()
        return step(first)

    ahead = BatchesAhead(slow, "cpu")
    with ahead.running():
        ahead.begin(0)
        assert begun.wait(60)
    assert ended.is_set()
    assert not threads()
