"""Processes started alike that share work without torch: ranks of MPI, tasks of SLURM.

Tasks of SLURM know each other by the files they leave only. Ranks of MPI end together: for a
mistake that the first finds for all they leave in good order; any other exception of one aborts
all, because without that the others would wait for it for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dslm.environment import Task, read_task
from dslm.errors import Problems, ReportedError, UserError
from dslm.launchers import mpi_ranks

GRACE = 2.0
"""Seconds for which the other ranks leave it to the first to report a mistake: it ends them."""


class Ranks:
    """This process among the others.

    Args:
        task: its number, and how many there are.
        ranks: MPI's communicator of all; `None` without MPI.
    """

    def __init__(self, task: Task, ranks: Any) -> None:
        self.rank, self.size = task.rank, task.size
        self._ranks = ranks
        self.leaving = False
        """Whether all ranks have agreed to end."""

    @property
    def is_main(self) -> bool:
        """Whether this process reports to the user what all have in common."""
        return self._ranks is None or self.rank == 0

    def check_once(self, check: Callable[[], None]) -> None:
        """Let one rank check for all, so that a mistake is reported once; the others wait.

        Raises:
            UserError: on the first rank: its mistakes.
            ReportedError: on the others, which leave with it, so that nothing is aborted.
        """
        found = Problems()
        if self.is_main:
            found.collect(check)
        if self._ranks is not None:
            self.leaving = self._ranks.bcast(bool(found.problems))
        if found.problems:
            raise UserError(*found.problems)
        if self.leaving:
            raise ReportedError(2)

    def wait(self) -> None:
        """Wait until all ranks have reached this."""
        if self._ranks is not None:
            self._ranks.Barrier()


@contextmanager
def join_ranks(explain: Callable[[BaseException], int]) -> Iterator[Ranks]:
    """Find the others; leave together with them.

    Args:
        explain: prints an exception for the user and returns the exit code for it; called on a
            rank of MPI, whose exception ends all ranks.

    Raises:
        SetupError: started by MPI, but no MPI library can be loaded.
        UserError: all have agreed to end for a mistake.
        ReportedError: the same, on all ranks but the first.
    """
    task = read_task()
    if not task.mpi:
        yield Ranks(task, None)
        return
    ranks = mpi_ranks()
    members = Ranks(task, ranks)
    try:
        yield members
        ranks.Barrier()
    except BaseException as error:
        if members.leaving:
            raise
        if task.rank and isinstance(error, UserError):
            time.sleep(GRACE)
        ranks.Abort(explain(error))
