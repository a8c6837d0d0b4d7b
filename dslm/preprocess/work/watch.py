"""A pass as one of the processes sees it: what all have done, what is broken, who is waited for.

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
"""Seconds of waiting for others after which the user is notified."""

Notice = Callable[[str], None]
"""Called with a sentence for the user."""


@dataclass(frozen=True)
class Listeners:
    """What is called during a pass, and what ends it."""

    max_bad: int
    """Broken records after which to stop, in all units together."""
    progress: Advance | None = None
    """Called with the bytes of text that any process has worked on since the last call."""
    notice: Notice | None = None
    """Called with what the user should know meanwhile."""


class Watch:
    """Follows a pass from its beginning to its end.

    Args:
        folder: where the records are.
        pass_name: which pass.
        units: all of them.
        listeners: what to call.
    """

    def __init__(
        self, folder: WorkFolder, pass_name: str, units: Sequence[WorkUnit], listeners: Listeners
    ) -> None:
        self._folder, self._pass_name, self._listeners = folder, pass_name, listeners
        self._sizes = {unit.number: unit.size for unit in units}
        self._before = folder.finished(pass_name)
        self._seen = set[int]()
        self._own = self._finished = self._reported = self._broken = 0
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
        # Of a unit that is done, what this process has counted is part of both: nothing is reported
        # twice, and the report lags behind by no more than the units at work.
        now = max(self._own, self._finished)
        if self._listeners.progress and now > self._reported:
            self._listeners.progress(now - self._reported)
            self._reported = now

    def look(self) -> None:
        """Count what is finished, here or elsewhere.

        Raises:
            DataError: more records are broken than may be.
        """
        for number in sorted(self._folder.finished(self._pass_name) - self._seen):
            if done := self._folder.done(self._pass_name, number):
                self._seen.add(number)
                self._broken += sum(done.statistics.broken.values())
                self._examples = [*self._examples, *done.statistics.examples][:EXAMPLES]
                self._finished += self._sizes[number] if number not in self._before else 0
        check_broken(self._broken, self._examples, self._listeners.max_bad)
        self._looked = time.monotonic()

    def wait(self, seconds: float, units: int) -> None:
        """Wait a little for units that others hold, and notify the user if that takes long."""
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
