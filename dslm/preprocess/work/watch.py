"""A stage as one of the processes sees it: what all have done, what is broken, who is waited for.

The process counts its own work as it goes on, and once a second looks for the records that others
have written meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dslm.preprocess.work.folder import WorkFolder
from dslm.preprocess.work.plan import WorkUnit
from dslm.preprocess.work.rejects import check_broken
from dslm.progress import Advance
from dslm.shards.statistics import EXAMPLES

LOOK_EVERY = 1.0
"""Seconds between two looks at the records."""
PATIENCE = 10.0
"""Seconds of waiting for others after which the user is told."""

Notice = Callable[[str], None]
"""Told a sentence for the user."""


@dataclass(frozen=True)
class Listeners:
    """Who is told of a stage, and what ends it."""

    max_bad: int
    """Broken records after which to stop, in all units together."""
    progress: Advance | None = None
    """Told the bytes of text dealt with since the last call, by any process."""
    notice: Notice | None = None
    """Told what the user should know meanwhile."""


class Watch:
    """Looks at a stage from its beginning to its end.

    Args:
        folder: where the records are.
        stage: its name.
        units: all of them.
        listeners: who is told.
    """

    def __init__(
        self, folder: WorkFolder, stage: str, units: Sequence[WorkUnit], listeners: Listeners
    ) -> None:
        self._folder, self._stage, self._listeners = folder, stage, listeners
        self._sizes = {unit.number: unit.size for unit in units}
        self._before = folder.finished(stage)
        self._seen = set[int]()
        self._own = self._finished = self._told = self._broken = 0
        self._examples: list[str] = []
        self._looked = time.monotonic()
        self._waiting_since: float | None = None
        self._noticed = False

    def advance(self, amount: int) -> None:
        """Count work of this process.

        Raises:
            DataError: more records are broken than may be.
        """
        self._own += amount
        if time.monotonic() - self._looked >= LOOK_EVERY:
            self.look()
        # Of a unit that is done, what this process has counted is part of both: nothing is told
        # twice, and what is told lags behind by no more than the units at work.
        now = max(self._own, self._finished)
        if self._listeners.progress and now > self._told:
            self._listeners.progress(now - self._told)
            self._told = now

    def look(self) -> None:
        """Count what is finished, here or elsewhere.

        Raises:
            DataError: more records are broken than may be.
        """
        for number in sorted(self._folder.finished(self._stage) - self._seen):
            if done := self._folder.done(self._stage, number):
                self._seen.add(number)
                self._broken += sum(done.statistics.broken.values())
                self._examples = [*self._examples, *done.statistics.examples][:EXAMPLES]
                self._finished += self._sizes[number] if number not in self._before else 0
        check_broken(self._broken, self._examples, self._listeners.max_bad)
        self._looked = time.monotonic()

    def wait(self, seconds: float, units: int) -> None:
        """Wait a little for units that others hold, and tell the user if that takes long."""
        now = time.monotonic()
        self._waiting_since = self._waiting_since or now
        if now - self._waiting_since >= PATIENCE and not self._noticed:
            self._noticed = True
            if self._listeners.notice:
                what = "a unit" if units == 1 else f"{units} units"
                self._listeners.notice(f"waiting for {what} that another process holds")
        time.sleep(seconds)
        self.advance(0)

    def found_work(self) -> None:
        """Something was left for this process: it did not only wait."""
        self._waiting_since = None
