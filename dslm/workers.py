"""The same work for each of many units, in several processes, with progress and one clear failure.

Processes are spawned, not forked, so that they inherit no thread and no lock. They count their
progress in shared memory, which the parent looks at several times a second. The first failure ends
the others at their next step of progress and is raised in the parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.sharedctypes import Synchronized
from typing import TypeVar

from dslm.errors import Problem, SetupError
from dslm.progress import Advance

LOOK_EVERY = 0.2
"""Seconds between two looks at the progress."""

STOP = -1
"""In place of the progress: end at the next step."""

Work = TypeVar("Work")
Result = TypeVar("Result")


class StoppedError(Exception):
    """Ends a worker when another one has failed."""


class Tracker:
    """Progress of all workers in one number that every process sees; below zero means stop."""

    shared: Synchronized[int]

    @classmethod
    def attach(cls, shared: Synchronized[int]) -> None:
        """Prepare a worker process."""
        cls.shared = shared
        begin_worker()

    @classmethod
    def advance(cls, amount: int) -> None:
        """Count progress from within a worker."""
        with cls.shared.get_lock():
            if cls.shared.value < 0:
                raise StoppedError
            cls.shared.value += amount


def begin_worker() -> None:
    """Let a spawned process live as long as its parent: no shorter and no longer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of it and stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)


class Workers:
    """Processes to work in; use it in a ``with`` block.

    Args:
        number: how many; with one, the work is done in this process.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._started: tuple[ProcessPoolExecutor, Synchronized[int]] | None = None

    def each(
        self,
        work: Callable[[Work, Advance | None], Result],
        units: Sequence[Work],
        progress: Advance | None,
    ) -> list[Result]:
        """What `work` returns for each unit, in the order of the units.

        Args:
            work: called with a unit and with a function that takes its progress; can be sent to a
                process.
            units: what to work on.
            progress: called in this process with the progress since the last call.

        Raises:
            SetupError: a worker was killed from outside, or could not begin.
            Exception: the first that `work` raised.
        """
        if min(self.number, len(units)) == 1:
            return [work(unit, progress) for unit in units]
        pool, shared = self._started = self._started or self._start()
        before = shared.value
        try:
            with _uninterrupted():
                futures = [pool.submit(_tracked, work, unit) for unit in units]
            _watch(futures, shared, before, progress)
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise SetupError(self._broken(pool)) from None

    def _broken(self, pool: ProcessPoolExecutor) -> Problem:
        """Why workers ended, by the exit codes of their processes."""
        processes = [*(pool._processes or {}).values()]
        pool.shutdown()  # until then its own thread may be asking for the codes
        ends = [one.exitcode or 0 for one in processes]
        if max(ends, default=0) > 0:  # one that was killed has the signal, below 0
            rule = f"a worker ended with exit code {max(ends)} before it began"
            fix = "in a script of your own, call this below `if __name__ == '__main__':`"
        else:
            rule = "a worker was killed, most often because memory ran out"
            fix = "use fewer workers"
        return Problem("--workers", self.number, rule, fix)

    def _start(self) -> tuple[ProcessPoolExecutor, Synchronized[int]]:
        context = multiprocessing.get_context("spawn")
        shared = context.Value("q", 0)
        return ProcessPoolExecutor(self.number, context, Tracker.attach, (shared,)), shared

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._started is not None:
            pool, shared = self._started
            shared.value = STOP
            pool.shutdown(cancel_futures=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """What is started here never receives Ctrl-C, not even before it can ignore it by itself."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tracked(work: Callable[[Work, Advance | None], Result], unit: Work) -> Result:
    return work(unit, Tracker.advance)


def _watch(
    futures: Sequence[Future[Result]],
    shared: Synchronized[int],
    reported: int,
    progress: Advance | None,
) -> None:
    """Pass progress on until all are done or one has failed; then raise its error."""
    waiting = True
    while waiting:
        done, pending = wait(futures, LOOK_EVERY, FIRST_EXCEPTION)
        now = shared.value
        if progress:
            progress(now - reported)
        reported, waiting = now, bool(pending)
        for future in done:
            future.result()
