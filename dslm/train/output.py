"""Keeps the user's screen for what a user wants to read: libraries' own output goes to a file.

DeepSpeed, torch and gloo print from Python and from C++, so both streams are redirected at the
level of the operating system's file descriptors.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

LATELY = 0.5
"""Seconds without output after which a terminal shows what is being done…"""
SILENCE = 10.0
"""… and after which a line is due anywhere else."""


class UserStream(TextIOWrapper):
    """A stream that a user reads, which knows for how long it has been silent.

    What cannot be written is lost, and stops nobody: a log on a full disk, a terminal or a launcher
    that is gone.
    """

    def __init__(self, buffer: BinaryIO) -> None:
        super().__init__(buffer)
        self.last = time.monotonic()
        self.unread = False

    def write(self, text: str, /) -> int:
        """Write at once, and remember when."""
        self.last = time.monotonic()
        if not self.unread:
            try:
                super().write(text)
                self.flush()
            except OSError as error:
                self.unread = error.errno in (errno.EPIPE, errno.EIO)
        return len(text)

    def lines(self, *lines: str) -> None:
        """Write lines, over what `alive` has shown last."""
        self.write(("\r\033[K" if self.isatty() else "") + "\n".join(lines) + "\n")

    def alive(self, text: str) -> None:
        """Show what is being done, unless something was shown lately."""
        silent = time.monotonic() - self.last
        if self.isatty():
            if silent > LATELY:
                self.write(f"\r\033[K{text}")
        elif silent > SILENCE:
            self.lines(text)


@contextmanager
def redirect_output(log: Path) -> Iterator[tuple[UserStream, UserStream]]:
    """Send everything printed to a file; the streams this yields still reach the user.

    Args:
        log: the file; lines are appended to it.

    Yields:
        The user's standard output and standard error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    user = [UserStream(os.fdopen(os.dup(number), "wb")) for number in (1, 2)]
    file = log.open("a")
    for number in (1, 2):
        os.dup2(file.fileno(), number)
    faulthandler.enable(file)
    try:
        yield user[0], user[1]
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        file.flush()
        faulthandler.disable()
        for number, stream in enumerate(user, start=1):
            os.dup2(stream.fileno(), number)
