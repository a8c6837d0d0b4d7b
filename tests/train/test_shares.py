"""Work shared out among ranks, and files written behind their backs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dslm.environment import World
from dslm.train.file_queue import FileQueue, Tensors
from dslm.train.shares import shares
from dslm.train.verification import owned


@given(sizes=st.lists(st.integers(0, 1000), max_size=30), ranks=st.integers(1, 9))
def test_no_rank_has_more_than_another_by_more_than_one_piece(sizes: list[int], ranks: int) -> None:
    taken = shares(sizes, ranks)
    loads = [
        sum(s for s, r in zip(sizes, taken, strict=True) if r == rank) for rank in range(ranks)
    ]
    assert sum(loads) == sum(sizes)
    assert max(loads) - min(loads) <= max(sizes, default=0)


@given(
    sizes=st.lists(st.integers(0, 1000), max_size=30),
    hosts=st.integers(1, 4),
    each=st.integers(1, 4),
    shared=st.booleans(),
)
def test_each_file_is_read_by_one_rank_of_all_or_of_each_host(
    sizes: list[int], hosts: int, each: int, shared: bool
) -> None:
    ranks = [World(rank, hosts * each, rank % each, each) for rank in range(hosts * each)]
    readers = [owned(sizes, rank, shared) for rank in ranks]
    for first in range(0, len(ranks), len(ranks) if shared else each):
        group = readers[first : first + (len(ranks) if shared else each)]
        for file in range(len(sizes)):
            assert sum(own[file] for own in group) == 1


def test_files_are_written_in_order_while_others_are_made() -> None:
    gate, written = threading.Event(), list[str]()

    def write(name: str, tensors: Tensors) -> tuple[int, str]:
        gate.wait(30)
        written.append(name)
        return len(tensors), name

    queue = FileQueue(write, lambda: None)
    queue.put("first", {"a": torch.zeros(1)})
    queue.put("second", {})
    assert written == []
    gate.set()
    assert queue.close() == ({"first": (1, "first"), "second": (0, "second")}, None)
    assert written == ["first", "second"]


def test_a_failure_is_told_at_the_end_and_what_follows_is_not_written() -> None:
    failure, tried = OSError("disk full"), list[str]()

    def write(name: str, tensors: Tensors) -> tuple[int, str]:
        tried.append(name)
        if name == "b":
            raise failure
        return 1, name

    queue = FileQueue(write, lambda: None)
    for name in "abcdef":
        queue.put(name, {})
    assert queue.close() == ({"a": (1, "a")}, failure)
    assert tried == ["a", "b"]


def test_a_mistake_of_the_program_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    def write(name: str, tensors: Tensors) -> tuple[int, str]:
        raise KeyError(name)

    queue = FileQueue(write, lambda: None)
    queue.put("a", {})
    with pytest.raises(KeyError):
        queue.close()
