"""Who is late, and whether a process is still the one it was."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dslm.run.heartbeats import SIZE, Heartbeat, Heartbeats, late
from dslm.run.process import Process

ME = Process.this()


def ranks(*places: tuple[int, int, bool, bool]) -> list[Heartbeat]:
    """Ranks by step, beats, whether they wait and whether they answer."""
    return [
        Heartbeat(rank, ME, "training", step, None, beats, waiting=waits, stalled=answers)
        for rank, (step, beats, waits, answers) in enumerate(places)
    ]


def names(heartbeats: list[Heartbeat]) -> list[int]:
    return [one.rank for one in late(heartbeats)]


def test_a_rank_that_does_not_answer_is_late_though_it_came_as_far() -> None:
    assert names(ranks((4, 9, True, True), (4, 9, True, False), (4, 9, False, True))) == [1]


def test_of_those_that_answer_the_one_that_does_not_wait_is_late() -> None:
    assert names(ranks((4, 8, True, True), (4, 9, False, True))) == [1]


def test_of_those_that_wait_the_one_that_came_least_far_is_late() -> None:
    assert names(ranks((4, 9, True, True), (4, 8, True, True), (5, 1, True, True))) == [1]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.booleans()), min_size=1
    )
)
def test_somebody_is_always_late(ranked: list[tuple[int, int, bool, bool]]) -> None:
    every = ranks(*ranked)
    found = late(every)
    assert found
    assert set(found) <= set(every)
    assert all(not one.stalled for one in found) or all(one.stalled for one in every)


def test_a_heartbeat_is_read_as_it_was_written_and_never_changes_its_length(tmp_path: Path) -> None:
    heartbeats = Heartbeats(tmp_path / "ranks")
    heartbeats.begin()
    [mine] = ranks((18, 72, True, False))
    for one in (mine, replace(mine, samples=(1216, 1231), phase="saving", number=2**62)):
        heartbeats.write(one)
        assert heartbeats.read([0, 1]) == [one]
        assert (tmp_path / "ranks" / "rank-0.json").stat().st_size == SIZE


def test_a_call_reaches_all_and_a_new_start_forgets_it(tmp_path: Path) -> None:
    mine, other = Heartbeats(tmp_path / "ranks"), Heartbeats(tmp_path / "ranks")
    token = mine.begin()
    assert other.has_token(token, 0)
    assert not other.called
    mine.call_all()
    assert other.called
    assert not other.has_token("another", 0)
    mine.begin()
    assert not other.called
    assert not other.has_token(token, 0)


def test_a_process_is_killed_only_while_it_is_the_same() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        known = replace(ME, pid=child.pid, started=int(fields[19]))
        assert not known.has_ended
        another = replace(known, started=known.started + 1)
        elsewhere = replace(known, space="another machine")
        assert another.has_ended
        assert not elsewhere.has_ended
        assert not another.kill()
        assert not elsewhere.kill()
        assert child.poll() is None
        assert known.kill()
        assert child.wait(10) == -9
    assert known.has_ended
    assert not known.kill()
