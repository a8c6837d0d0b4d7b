"""Files written by a thread while the next ones are being gathered.

At most three files are in memory at once: one being written, one waiting, one being gathered. The
queue outlives neither `close` nor its `with`; whoever wants to train on while files are written has
to copy the tensors and to close it later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import Queue
from threading import Thread
from typing import TypeAlias

from torch import Tensor

Tensors: TypeAlias = Mapping[str, Tensor]
Written: TypeAlias = tuple[int, str]
"""Bytes and sha256 of a file."""


class FileQueue:
    """Writes files one after the other, in a thread of its own.

    Args:
        write: writes a file of a name.
    """

    def __init__(self, write: Callable[[str, Tensors], Written]) -> None:
        self._write = write
        self._files: dict[str, Written] = {}
        self._failure: Exception | None = None
        self._waiting: Queue[tuple[str, Tensors] | None] = Queue(maxsize=1)
        self._thread = Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def put(self, name: str, tensors: Tensors) -> None:
        """Hand over a file, as soon as there is room for it."""
        self._waiting.put((name, tensors))

    def close(self) -> tuple[dict[str, Written], OSError | None]:
        """Wait for the last file.

        Returns:
            What has been written, and why the rest has not.
        """
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None and not isinstance(self._failure, OSError):
            raise self._failure
        return self._files, self._failure

    def _run(self) -> None:
        """Write; after a failure take what comes and drop it, so that nobody waits."""
        while (item := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._files[item[0]] = self._write(*item)
                except Exception as error:
                    self._failure = error
