"""How long a run may make no progress."""

from __future__ import annotations

import pytest

from dslm.run.heartbeats import Heartbeat
from dslm.run.process import Process
from dslm.train.activity import FLOORS, OTHERWISE, TIMES, Activity, doing, granted


@pytest.mark.parametrize(
    ("phase", "slowest", "setting", "seconds"),
    [
        ("training", 0.1, None, FLOORS["training"]),
        ("training", 60.0, None, TIMES * 60),
        ("measuring", 60.0, None, TIMES * 60),
        ("saving", 0.1, None, FLOORS["saving"]),
        ("training", None, None, OTHERWISE),
        ("starting", 0.1, None, OTHERWISE),
        ("training", 60.0, 2.0, 120.0),
        ("training", None, 2.0, 120.0),
        ("starting", None, 2.0, OTHERWISE),
    ],
)
def test_the_slowest_piece_of_work_decides_unless_the_setting_does(
    phase: str, slowest: float | None, setting: float | None, seconds: float
) -> None:
    assert granted(phase, slowest, setting) == seconds


def activity() -> Activity:
    return Activity(Heartbeat(0, Process.this()), None)


def test_the_first_step_in_which_things_are_compiled_counts_not() -> None:
    run = activity()
    run.enter("training")
    run.step(1, 0, 16)
    run.beat()
    assert run.slowest is None
    run.step(2, 16, 16)
    assert run.slowest is not None
    assert run.now.samples == (16, 31)


def test_a_rank_is_granted_as_long_as_another_may_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("dslm.train.activity.time.monotonic", lambda: now[0])
    run = activity()
    run.enter("training")
    run.step(1, 0, 16)
    with run.compiled():
        assert run.now.phase == "compiling"
        assert run.granted == OTHERWISE
        now[0] += 90
    assert run.now.phase == "training"
    run.beat()
    run.step(2, 16, 16)
    with run.during("measuring"):
        assert run.granted == TIMES * 90


def test_what_is_done_in_between_is_remembered_when_it_fails() -> None:
    run = activity()
    run.enter("training")
    with run.during("measuring"):
        pass
    assert run.now.phase == "training"
    with pytest.raises(ValueError, match="oops"), run.during("saving"):
        raise ValueError("oops")
    assert run.now.phase == "saving"


@pytest.mark.parametrize(
    "phase", ["starting", "restoring", "compiling", "training", "measuring", "saving", "ending"]
)
def test_what_a_rank_does_is_said_in_words(phase: str) -> None:
    now = Heartbeat(0, Process.this(), phase=phase, step=1234)
    words = doing(now, 0.0)
    assert words != phase or phase == "saving"
    assert doing(now, 125.0) == f"{words} · 2m05s"
    assert ("1,234" in words) == (phase == "training")
