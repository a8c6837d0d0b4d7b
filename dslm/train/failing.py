"""What happens when a rank fails: one of them says so, once, and all of them end.

The rank with the error writes ``failure.json`` at once and ends. That breaks the connections of the
others, whose errors are about these and say nothing: they look for the file. When a rank was
killed nobody has written it, and the first to see that its process is gone does.
"""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TextIO

from dslm.environment import error_file
from dslm.errors import DslmError, PeerError, ReportedError, UserError
from dslm.launchers import leave_message
from dslm.run.failure import Failure, read_failure
from dslm.run.folder import RunFolder
from dslm.run.heartbeats import Heartbeat
from dslm.signals import REQUESTS
from dslm.train.output import UserStream
from dslm.train.watchdog import Watchdog

FOREIGN = ("/gloo/", "Gloo ", "NCCL", "c10d", "TCPStore", "Broken pipe", "Socket Timeout")
"""Words of errors that are about connections to other ranks."""
PATIENCE = 20.0
"""Seconds in which the reason for such an error is waited for, at least."""
UNSEEN = 8.0
"""Seconds without a heartbeat of a rank elsewhere after which its process is taken for gone."""
EXIT = 15.0
"""Seconds within which a rank that has failed must have ended."""
FATAL = "Fatal Python error: "
"""What Python writes into the log of a process that the system ends."""


@contextmanager
def failures_reported(
    folder: RunFolder,
    watchdog: Watchdog,
    messages: UserStream,
    log: TextIO,
    failed: Callable[[Failure], None],
) -> Iterator[None]:
    """Turn whatever ends this rank into ``failure.json`` and one report of it.

    Args:
        folder: of the run.
        watchdog: of this rank.
        messages: the user's standard error.
        log: of this rank, where the traceback goes.
        failed: called with what ended the run, which may be another rank's failure.

    Raises:
        ReportedError: in place of every error.
    """
    REQUESTS.last_words = partial(_ended_at_once, folder, watchdog, failed)
    try:
        yield
    except BaseException as error:
        watchdog.leave(patience(watchdog) + EXIT)
        _ignore_sigterm()
        if not isinstance(error, (UserError, KeyboardInterrupt)):
            traceback.print_exception(error, file=log)
        failure = _reported(folder, watchdog, messages, error)
        failed(failure)
        watchdog.leave(EXIT)
        raise ReportedError(failure.code) from None


def _ended_at_once(
    folder: RunFolder, watchdog: Watchdog, failed: Callable[[Failure], None], cause: str
) -> None:
    """Leave the reason for the other ranks, who would find a process that has gone and no word."""
    failure = Failure.of(watchdog.now, watchdog.now, "ended at once", cause, "")
    with suppress(OSError):
        failure.record(folder.failure)
    failed(failure)


def _reported(
    folder: RunFolder, watchdog: Watchdog, messages: UserStream, error: BaseException
) -> Failure:
    """What ended the run, after this rank or another has reported it."""
    mine = of_error(error, watchdog.now)
    if watchdog.world.size > 1 and is_foreign(error):
        mine = _origin(folder, watchdog) or mine
    is_first = True
    with suppress(OSError):  # a full disk must not hide what has ended the run
        is_first = mine.record(folder.failure)
    if not is_first:
        return read_failure(folder.failure) or mine
    lines = [f"error: {mine.line(folder.failure)}"]
    if isinstance(error, UserError):
        lines = [f"error: {problem}" for problem in error.problems]
    elif isinstance(error, KeyboardInterrupt):
        lines = ["interrupted"]
    messages.lines(*lines)
    if (file := error_file()) is not None:
        leave_message(file, "\n".join(lines))
    return mine


def of_error(error: BaseException, now: Heartbeat) -> Failure:
    """A failure of this rank.

    Args:
        error: what ends it.
        now: what it was doing.
    """
    codes = ((UserError, 2), (KeyboardInterrupt, 130), (BaseException, 1))
    code = next(code for kind, code in codes if isinstance(error, kind))
    message = str(error).strip() or "no message"
    trace = "".join(traceback.format_exception(error))
    return Failure.of(now, now, type(error).__name__, message, trace, code=code)


def is_foreign(error: BaseException) -> bool:
    """Whether an error is about another rank."""
    if isinstance(error, DslmError):
        return isinstance(error, PeerError)
    if type(error).__name__.startswith("Dist"):
        return True
    return isinstance(error, (RuntimeError, OSError)) and any(w in str(error) for w in FOREIGN)


def patience(watchdog: Watchdog) -> float:
    """Seconds in which the reason for an error about another rank must have shown itself."""
    return max(PATIENCE, 6 * watchdog.every)


def _origin(folder: RunFolder, watchdog: Watchdog) -> Failure | None:
    """What the other rank's failure was; `None` when there is no sign of one."""
    unseen = max(UNSEEN, 4 * watchdog.every)
    end = time.monotonic() + patience(watchdog)
    while time.monotonic() < end:
        if _is_in(folder.failure, folder.path):
            for _ in range(20):  # it is being written
                if found := read_failure(folder.failure):
                    return found
                time.sleep(0.1)
        for one in watchdog.watched():
            if one.process.has_ended or folder.heartbeats.unchanged(one) > unseen:
                time.sleep(0.2)  # it may have written the file just before
                found = read_failure(folder.failure) or _killed(folder, one, watchdog.now)
                one.process.kill()  # where it has only been stopped, no SIGTERM would end it
                return found
        time.sleep(max(0.1, watchdog.world.size / 500))
    return None


def _is_in(file: Path, folder: Path) -> bool:
    """Whether a file is in a folder, which is looked at anew on NFS; the folder may be gone."""
    try:
        return file in folder.iterdir()
    except FileNotFoundError:
        return False


def _killed(folder: RunFolder, one: Heartbeat, now: Heartbeat) -> Failure:
    """The failure of a rank that has written none; it was where this rank now waits for it."""
    last = _last_words(folder, one)
    if last:
        what = last.partition("\n")[0].removeprefix(FATAL)
    elif one.process.has_ended:
        what = "killed, or out of memory"
    else:
        what = "killed or stopped, or its host or network is gone"
    return Failure.of(one, now, "killed", what, last, found_by=now.rank)


def _last_words(folder: RunFolder, one: Heartbeat) -> str:
    """What Python has written into a rank's log when the system ended its process."""
    try:
        with folder.log(one.rank).open("rb") as file:
            file.seek(one.log)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return FATAL + text.rpartition(FATAL)[2] if FATAL in text else ""


def _ignore_sigterm() -> None:
    """Whoever started the ranks ends them when one has ended; the reason is to be found first."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
