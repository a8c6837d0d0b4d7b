"""Keeps the user's screen for what a user wants to read: libraries' own output goes to a file.

DeepSpeed, torch and gloo print from Python and from C++, so both streams are redirected at the
level of the operating system's file descriptors.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def redirect_output(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Send everything printed to a file; the streams this yields still reach the user.

    Args:
        log: the file; lines are appended to it.

    Yields:
        The user's standard output and standard error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    user = [os.fdopen(os.dup(number), "w", buffering=1) for number in (1, 2)]
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
