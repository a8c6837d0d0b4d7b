from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.work_plan import PLAN

from dslm.environment import Task
from dslm.errors import DataError
from dslm.preprocess.work import coordination as ranks
from dslm.preprocess.work import watch
from dslm.preprocess.work.coordination import WorkPass
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.watch import Listeners, Watch
from dslm.progress import Advance
from dslm.shards.statistics import Statistics
from dslm.workers import Workers

UNITS = [WorkUnit(number, (), 10) for number in range(6)]


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "WAIT", 0.01)


def noting_pass(folder: WorkFolder, made: list[int], task: Task | None = None) -> WorkPass:
    """A pass that notes the units it does."""

    def work(unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        made.append(unit.number)
        if advance:
            advance(unit.size)
        folder.file(f"{unit.number}").write_text(f"unit {unit.number}")
        return UnitRecord(folder.hashed(f"{unit.number}"), Statistics(documents=unit.number))

    with folder.joined(PLAN) as since:
        return WorkPass("write", folder, work, task or Task(), since)


def finish(
    work_pass: WorkPass,
    reported: Advance | None = None,
    ended: Callable[[], bool] = never,
    max_bad: int = 0,
) -> list[UnitRecord]:
    with Workers(1) as workers:
        return work_pass.finish(UNITS, workers, Listeners(max_bad, reported), ended)


def test_records_come_in_the_order_of_the_units(work: WorkFolder) -> None:
    made: list[int] = []
    done = finish(noting_pass(work, made, Task(1, 3)))
    assert made == [2, 3, 4, 5, 0, 1]  # each rank begins at a unit of its own
    assert [one.statistics.documents for one in done] == list(range(6))


def test_what_is_done_is_not_done_again_but_counts_as_progress(work: WorkFolder) -> None:
    made: list[int] = []
    reported: list[int] = []
    finish(noting_pass(work, made))
    finish(noting_pass(work, made), reported.append)
    assert made == list(range(6))
    assert sum(reported) == 60


def test_a_unit_whose_file_was_damaged_is_done_again(work: WorkFolder) -> None:
    made: list[int] = []
    finish(noting_pass(work, made))
    work.file("4").write_text("unit 5")
    finish(noting_pass(work, made, Task(0, 2)))  # whichever rank finds it
    assert made == [0, 1, 2, 3, 4, 5, 4]
    assert work.file("4").read_text() == "unit 4"


def test_a_unit_that_another_is_at_is_waited_for(work: WorkFolder) -> None:
    made: list[int] = []
    with work.lock("write", 3):
        other = threading.Timer(0.2, lambda: work.finish("write", 3, UnitRecord()))
        other.start()
        done = WorkPass("write", work, noting_pass(work, made).work)(UNITS[3], None)
        assert not done
        other.join()
    finish(noting_pass(work, made))
    assert made == [0, 1, 2, 4, 5]


def test_units_in_order_each_wait_for_the_one_before_whoever_does_it(work: WorkFolder) -> None:
    made: list[int] = []
    others: list[int] = []
    in_order = replace(noting_pass(work, made, Task(1, 3)), in_order=True)
    with work.lock("write", 2):

        def finish_it() -> None:
            others.extend(made)
            work.finish("write", 2, UnitRecord())

        other = threading.Timer(0.2, finish_it)
        other.start()
        taken = threading.Thread(target=finish, args=(in_order,))
        taken.start()
        other.join()
    taken.join(60)
    assert others == [0, 1]
    assert made == [0, 1, 3, 4, 5]


def test_it_leaves_when_others_have_made_the_whole_set(work: WorkFolder) -> None:
    made: list[int] = []
    with work.lock("write", 3):
        done = finish(noting_pass(work, made), ended=lambda: len(made) == 5)
    assert made == [0, 1, 2, 4, 5]
    assert len(done) == 5


def test_a_unit_that_fails_is_free_again_and_has_no_record(work: WorkFolder) -> None:
    def fail(unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError, match="torn"):
        finish(WorkPass("write", work, fail))
    assert work.units_done() == 0
    made: list[int] = []
    finish(noting_pass(work, made))
    assert made == list(range(6))


def test_the_work_folder_of_one_set_is_not_that_of_another(tmp_path: Path) -> None:
    made: list[int] = []
    for name in ("a", "b"):
        folder = WorkFolder.beside(tmp_path / name)
        finish(noting_pass(folder, made))
    assert made == [*range(6), *range(6)]


def test_what_others_finish_counts_as_soon_as_it_is_seen(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 0)
    reported: list[int] = []
    seen = Watch(work, "write", UNITS, Listeners(0, reported.append))
    seen.advance(4)  # of unit 0
    for number in (1, 2, 3):
        work.finish("write", number, UnitRecord())
    seen.advance(3)
    assert sum(reported) == 30
    work.finish("write", 0, UnitRecord())
    seen.advance(3)  # the rest of unit 0, whose record is there too
    assert sum(reported) == 40
    for _ in (1, 2, 3):  # found to be done
        seen.advance(10)
    assert sum(reported) == 40


def test_what_was_done_before_counts_when_it_is_proved(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 0)
    work.finish("write", 1, UnitRecord())
    reported: list[int] = []
    seen = Watch(work, "write", UNITS, Listeners(0, reported.append))
    seen.advance(0)
    assert sum(reported) == 0
    seen.advance(10)
    assert sum(reported) == 10


def test_broken_records_of_all_units_together_stop_the_stage_early(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 0)
    made: list[int] = []

    def work_on(unit: WorkUnit, advance: Advance | None) -> UnitRecord:
        made.append(unit.number)
        if advance:
            advance(unit.size)
        return UnitRecord(
            {}, Statistics(broken={"not JSON": 1}, examples=[f"{unit.number}.txt: not JSON"])
        )

    with pytest.raises(DataError, match=r"0\.txt: not JSON\n.*\n.*= 1: 2 records are broken"):
        finish(WorkPass("write", work, work_on), max_bad=1)
    assert made == [0, 1, 2]
    assert len(finish(WorkPass("write", work, work_on), max_bad=6)) == 6


def test_waiting_for_others_is_reported_once_when_it_takes_long(
    work: WorkFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    notices: list[str] = []
    looks: list[int] = []

    def ended() -> bool:
        looks.append(len(notices))
        return len(looks) == 20

    with work.lock("write", 3), work.lock("write", 4), Workers(1) as workers:
        listeners = Listeners(0, notice=notices.append)
        noting_pass(work, []).finish(UNITS, workers, listeners, ended)
    assert notices == ["waiting for 2 units that another process holds"]
    assert looks.count(0) > 2  # not at once
