"""Requests to stop: signals sent to this process, and a launcher that has gone.

A request does nothing here but be remembered: the ranks agree on it between two steps
(`dslm.parallel.stop`), save, and end with exit code 0. A thread takes the signals, as the main
thread may be waiting for another rank, where Python would handle none.

| SIGINT, SIGTERM, SIGUSR1, SIGHUP     | what happens                                              |
|--------------------------------------|-----------------------------------------------------------|
| before torch is loaded               | SIGINT ends the process (exit code 130), others wait      |
| while ranks wait for each other      | all but SIGUSR1 end the process: nothing has begun        |
| the first, then                      | stop at the next step with a checkpoint                   |
| the second of a kind                 | nothing more; before the ranks have joined, as the third  |
| the third of a kind                  | the process ends at once, exit code 128 + its number      |

Those of a kind within `BURST` are one: a launcher passes on what the terminal has sent already.
What was ignored when the process started (SIGHUP after ``nohup``) stays so.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dslm.ancestors import Process, gone, launchers

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
CAUSES = (*(f"by {number.name}" for number in SIGNALS), "because its launcher is gone")
"""Why a run is stopped: after the words "the run was stopped"."""
BURST = 1.0
"""Seconds within which signals of a kind count as one."""
LAST = 1.0
"""Seconds for what is said before the process ends at once: a file system may hang."""
LOOK = 2.0
"""Seconds between two looks at the launcher."""


class Stopped(Exception):  # noqa: N818  nothing has failed
    """Raised on every rank: it was agreed to stop, and there is nothing to save."""


class StopRequests:
    """What this process has been asked; there is one, `REQUESTS`, as signals are the process's."""

    def __init__(self) -> None:
        self.asked = [False] * len(CAUSES)
        """For each of `CAUSES` whether this process was asked to stop for it."""
        self.borne = 1
        """How many signals of a kind do not end the process at once."""
        self.last_words: Callable[[str], object] = lambda _: None
        """Called with one of `CAUSES` before the process ends at once; it has `LAST` for it."""
        self._patient = True
        self._counts: Counter[int] = Counter()
        self._last: dict[int, float] = {}
        self._before: dict[int, Any] = {}
        self._writing, self._watched = -1, tuple[Process, ...]()
        self._interrupts = True

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Take the signals from here on; to be entered by the main thread."""
        self.__dict__ |= vars(StopRequests())
        self._before = {n: h for n in SIGNALS if (h := signal.getsignal(n)) != signal.SIG_IGN}
        reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        os.register_at_fork(after_in_child=self._release)
        thread = threading.Thread(target=self._run, args=[reading], name="signals", daemon=True)
        thread.start()
        self.renew()
        try:
            yield
        finally:
            self._release()
            os.write(self._writing, b"\0")
            thread.join()
            os.close(self._writing)
            os.close(reading)

    def renew(self) -> None:
        """Take the signals again, if a library has taken them; by the main thread."""
        if self._before:
            signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in self._before:
            signal.signal(number, self._interrupted)
            signal.siginterrupt(number, False)

    def watch(self, launcher: str) -> None:
        """Ask to stop when the launcher, named by its command, has gone."""
        self._watched = launchers(launcher)

    def begin(self) -> None:
        """From here on SIGINT is a request, too."""
        self._interrupts = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, nothing has begun: a request ends the process, except one by SIGUSR1."""
        self._patient = False
        try:
            yield
        finally:
            self._patient = True

    def wait_to_be_asked(self, seconds: float) -> None:
        """Wait until a signal asks this process to stop, which it bears, but no longer."""
        self._patient, end = True, time.monotonic() + seconds
        while not any(self.asked) and time.monotonic() < end:
            time.sleep(0.05)

    def joined(self) -> None:
        """From here on the ranks can agree: the second signal is borne, too."""
        self.borne = 2
        self.renew()

    def _run(self, reading: int) -> None:
        """The thread: take signals, and look at the launcher when there are none."""
        while True:
            if select.select([reading], [], [], LOOK)[0]:
                for number in os.read(reading, 64):
                    if number == 0:
                        return
                    self._take(number)
            elif gone(self._watched):
                self._watched, self.asked[-1] = (), True

    def _take(self, number: int) -> None:
        if number not in self._before:
            return
        now = time.monotonic()
        if now - self._last.get(number, -BURST) >= BURST:
            self._counts[number] += 1
            self._last[number] = now
        cause = SIGNALS.index(signal.Signals(number))
        self.asked[cause] = True
        ends = not self._patient and number != signal.SIGUSR1
        if ends or self._counts[number] > self.borne:
            words = threading.Thread(target=self.last_words, args=[CAUSES[cause]], daemon=True)
            words.start()
            words.join(LAST)
            os._exit(128 + number)  # files are published by renaming: none is left half written

    def _interrupted(self, number: int, _: object) -> None:
        """Python's own handler, in the main thread: the thread does the rest."""
        if number == signal.SIGINT and self._interrupts:
            raise KeyboardInterrupt

    def _release(self) -> None:
        """Handle signals as before; in a forked child they are no business of this process."""
        if self._before:
            signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


REQUESTS = StopRequests()
