"""Files written by a thread while the training goes on.

The tensors handed over may not change until the queue is closed.
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
        beat: called after each file.
    """

    def __init__(
        self, write: Callable[[str, Tensors], Written], beat: Callable[[], object]
    ) -> None:
        self._write, self._beat = write, beat
        self._files: dict[str, Written] = {}
        self._failure: Exception | None = None
        self._waiting: Queue[tuple[str, Tensors] | None] = Queue()
        self._thread = Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    def put(self, name: str, tensors: Tensors) -> None:
        """Hand over a file."""
        self._waiting.put((name, tensors))

    def end(self) -> None:
        """No more files will come."""
        self._waiting.put(None)

    @property
    def is_done(self) -> bool:
        """Whether all files handed over before `end` are written, or one could not be."""
        return not self._thread.is_alive()

    def close(self) -> tuple[dict[str, Written], OSError | None]:
        """Wait for the last file; `end` is implied.

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
                    self._beat()
                except Exception as error:
                    self._failure = error
