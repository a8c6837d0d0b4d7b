"""Keeps other runs out of a run's folder for as long as a process lives."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from dslm.errors import CheckpointError, Problem

LOOKS = 5
"""How often a lock is tried: whoever asks how a run stands holds it for a moment."""


class RunLock:
    """The lock of one run's folder, the file ``.lock`` in it.

    Args:
        folder: of the run.
        heartbeat: reads when the run there was last seen alive; asked when another holds the lock.
    """

    def __init__(self, folder: Path, heartbeat: Callable[[], Mapping[str, Any]]) -> None:
        self.folder, self.path, self._heartbeat = folder, folder / ".lock", heartbeat
        self._file: TextIO | None = None

    def take(self) -> None:
        """Keep others out until this process ends; makes the folder.

        Raises:
            CheckpointError: another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.path.open("a+")
        for attempt in range(LOOKS):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if attempt == LOOKS - 1:
                    with file:
                        raise CheckpointError(self._in_use(file)) from None
                time.sleep(0.05)
        file.truncate(0)
        file.write(f"{socket.gethostname()} {os.getpid()}")
        file.flush()
        self.release()
        self._file = file

    def hold(self) -> None:
        """Take it again if this process had it and its file has been removed since.

        Raises:
            CheckpointError: another run has taken the folder meanwhile.
        """
        if self._file is None:
            return
        try:
            if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                return
        except FileNotFoundError:
            pass
        self.take()

    def release(self) -> None:
        """Let others in again, if this process had kept them out."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _in_use(self, file: TextIO) -> Problem:
        """Who else writes here, as far as it is known."""
        file.seek(0)
        host, _, pid = file.read(300).partition(" ")
        heartbeat = self._heartbeat()
        who = [f"process {pid} on host {host}"] if pid else []
        who += [f"heartbeat at {heartbeat['time']}"] if "time" in heartbeat else []
        rule = "another run is writing there now" + (f" ({', '.join(who)})" if who else "")
        fix = "wait for it, or choose another run="
        return Problem("run", str(self.folder), rule, fix)
