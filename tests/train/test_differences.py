"""What ranks have found out is compared in one place."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread, Timer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed import HashStore

from dslm.environment import World
from dslm.errors import Problem, ReportedError, UserError
from dslm.train import agreement
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


def test_a_first_rank_that_waits_says_for_whom(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(agreement, "SILENT", 0.1)
    store, world = HashStore(), World(size=12, local_size=12)
    for rank in range(1, 12):
        seconds = 0.0 if rank == 3 else 0.5
        Timer(seconds, agreement._put, (store, found(rank))).start()
    assert agreement._compare(store, world, found(0)) == []
    said = capsys.readouterr().err
    assert said == "waiting for 10 ranks of 12: 1, 2, 4, 5, 6, 7, 8, 9, …\n"


@pytest.mark.parametrize("launcher", ["deepspeed", "torchrun", "mpirun"])
@pytest.mark.parametrize("on_a_host", [1, 2, 4])
def test_a_mistake_is_reported_by_exactly_one_rank(
    launcher: str, on_a_host: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HashStore()
    monkeypatch.setattr(agreement, "meet", lambda *_: store)
    monkeypatch.setattr(agreement, "HELD", 0.0)
    said: list[str] = []

    def start(rank: int) -> None:
        world = World(rank, 4, rank % on_a_host, on_a_host, True, launcher)
        with suppress(ReportedError):
            agreement.agree(world, None, [Problem("steps", 0, "must be at least 1")], report)

    def report(error: UserError) -> None:
        said.append(str(error))

    ranks = [Thread(target=start, args=(rank,)) for rank in range(4)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(30)
    assert said == ["steps = 0: must be at least 1"]
