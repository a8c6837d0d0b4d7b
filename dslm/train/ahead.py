"""The micro-batches of a step, made by a thread while the step before it is computed.

What a step reads is a function of the number of its first sample, so one that was made ahead and is
not wanted, as the run goes back to a checkpoint, is thrown away, and the right one is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import torch

from dslm.objectives.batch import Batch


class BatchesAhead:
    """Makes one step at a time, all in the same thread, which ends with `running`.

    Args:
        make: the micro-batches of the step that begins at a sample, on the CPU.
        device: torch's name of the device they will be copied to.
    """

    def __init__(self, make: Callable[[int], Iterable[Batch]], device: str) -> None:
        self._make, self._device = make, torch.device(device)
        self._thread = ThreadPoolExecutor(1, "batches", self._enter)
        self._coming: tuple[int, Future[list[Batch]]] | None = None

    def begin(self, first: int) -> None:
        """Begin to make the step that begins at a sample, unless that is done already."""
        if self._coming is None or self._coming[0] != first:
            self.forget()
            self._coming = first, self._thread.submit(lambda: list(self._make(first)))

    def batches(self, first: int) -> list[Batch]:
        """The micro-batches of the step that begins at a sample; what making them raised, too."""
        self.begin(first)
        assert self._coming is not None
        return self._coming[1].result()

    def forget(self) -> None:
        """Forget what has been made."""
        if self._coming is not None:
            self._coming[1].cancel()
        self._coming = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Wait in the end, after an error too, until the thread has ended."""
        try:
            yield
        finally:
            self._thread.shutdown(cancel_futures=True)

    def _enter(self) -> None:
        """Pinned memory belongs to the GPU that a thread has chosen, which at first is number 0."""
        if self._device.type == "cuda":
            torch.cuda.set_device(self._device)
