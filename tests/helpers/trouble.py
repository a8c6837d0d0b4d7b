"""Trouble on one rank at one moment of a run, as hardware, systems and people make it."""

from __future__ import annotations

from collections.abc import Callable


def trouble(what: Callable[[], None], phase: str, step: int, where: int, rank: int) -> None:
    """Let something happen to a rank within a micro-batch or a checkpoint.

    Args:
        what: happens.
        phase: in which phase, once.
        step: from which step on, from 1.
        where: to which rank.
        rank: this one.
    """
    from dslm.run.checkpoint_writer import Writer
    from dslm.train.watchdog import Watchdog

    watchdogs: list[Watchdog] = []
    beat, write = Watchdog.beat, Writer.write

    def beaten(watchdog: Watchdog) -> None:
        watchdogs[:] = [watchdog]
        if phase != "saving" and watchdog.now.phase == phase:
            happen()
        beat(watchdog)

    def written(*arguments: object) -> object:
        happen()  # in whatever phase, as files are written while the training goes on
        return write(*arguments)  # type: ignore[arg-type]

    def happen() -> None:
        if rank == where and watchdogs[0].now.step >= step:
            what()

    Watchdog.beat = beaten  # type: ignore[method-assign]
    if phase == "saving":
        Writer.write = written  # type: ignore[assignment,method-assign]
