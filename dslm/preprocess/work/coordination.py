"""Several processes that make one shard set together, each with its own workers.

They need no messages: the work folder shows each what is done. So they may be the
ranks of ``mpirun``, the tasks of a SLURM array, some terminals, or one process alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dslm.environment import Task
from dslm.preprocess.work.folder import UnitRecord, WorkFolder
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.watch import Listeners, Watch
from dslm.progress import Advance
from dslm.workers import Workers

WAIT = 0.5
"""Seconds between two looks at units that others have taken."""


@dataclass(frozen=True)
class WorkPass:
    """One thing to do with each of many units; see `passes`."""

    name: str
    folder: WorkFolder
    work: Callable[[WorkUnit, Advance | None], UnitRecord]
    """A function that a worker process can be sent."""
    task: Task = field(default_factory=Task)
    """This process among those that work on the shard set."""
    since: int = 0
    """When this process began, as `WorkFolder.joined` gives it."""
    in_order: bool = False
    """Whether a unit needs what was made of those before it."""

    def __call__(self, unit: WorkUnit, advance: Advance | None) -> bool:
        """Do a unit unless it is done or another process is at it; returns whether it is done."""
        with self.folder.lock(self.name, unit.number) as free:
            if not free:
                return False
            if self.folder.kept(self.name, unit.number, self.since):
                if advance:
                    advance(unit.size)
                return True
            self.folder.finish(self.name, unit.number, self.work(unit, advance))
            return True

    def finish(
        self,
        units: Sequence[WorkUnit],
        workers: Workers,
        listeners: Listeners,
        ended: Callable[[], bool],
    ) -> list[UnitRecord]:
        """See that all units are done, by this process or by others; returns their records.

        Args:
            units: all of them, in order.
            workers: the processes of this one.
            listeners: what to call.
            ended: whether others have made the whole set, or given up: nothing is left to do.

        Raises:
            DataError: in all units together more records are broken than may be.
        """
        watch = Watch(self.folder, self.name, units, listeners)
        first = 0 if self.in_order else len(units) * self.task.rank // self.task.size
        left = [*units[first:], *units[:first]]
        while left and not ended():
            turn, later = (left[:1], left[1:]) if self.in_order else (left, [])
            finished = workers.each(self, turn, watch.advance)
            if any(finished):
                watch.found_work()
            held = [unit for unit, done in zip(turn, finished, strict=True) if not done]
            left = [*held, *later]
            if held:
                watch.wait(WAIT, len(held))
        watch.look()
        records = [self.folder.done(self.name, unit.number) for unit in units]
        return [done for done in records if done is not None]
