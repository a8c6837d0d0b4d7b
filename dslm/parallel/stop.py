"""Whether to stop, and whether a checkpoint is written: all ranks get the same answers.

What each rank was asked (`dslm.signals`), and whether it is still writing, is summed with the
numbers of labels that the ranks add up before every step and measurement anyway (`Engine.counted`).
On a GPU the sums are on their way to the host while the step is computed, so that nothing waits for
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dslm.signals import CAUSES, REQUESTS, Stopped


class Stop:
    """The requests of all ranks; every rank makes the same calls.

    Args:
        device: where sums over ranks are made.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.writing: Callable[[], bool] = lambda: False
        """Whether this rank is still writing a checkpoint."""
        self._sums = torch.zeros(len(CAUSES) + 1, dtype=torch.int64)
        self._arrived: Any = None

    def with_requests(self, counts: Tensor) -> Tensor:
        """Counts, and after them what this rank says, to be summed over the ranks."""
        asked = counts.new_zeros(len(CAUSES) + 1)
        for place, one in enumerate([*REQUESTS.asked, self.writing()]):
            if one:
                asked[place] = 1  # a fill: no copy from the host, which would wait for the device
        return torch.cat([counts, asked])

    def without_requests(self, sums: Tensor) -> Tensor:
        """The sums of the counts alone; the others are kept for `reason` and `any_writing`."""
        size = len(sums) - len(CAUSES) - 1
        self._sums = sums[size:].to("cpu", non_blocking=True)
        if sums.is_cuda:
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()
        return sums[:size]

    def reason(self) -> str | None:
        """Why to stop, by the last sum; `None` to go on."""
        asked = (cause for cause, count in zip(CAUSES, self._said()[:-1], strict=True) if count)
        return next(asked, None)

    def any_writing(self) -> bool:
        """Whether some rank was still writing a checkpoint when the last sum was made."""
        return bool(self._said()[-1])

    def ask(self) -> str | None:
        """Why to stop, by a sum of its own."""
        sums = self.with_requests(torch.zeros(0, dtype=torch.int64, device=self.device))
        torch.distributed.all_reduce(sums)
        self.without_requests(sums)
        return self.reason()

    def check(self) -> None:
        """As `ask`.

        Raises:
            Stopped: there is a reason.
        """
        if cause := self.ask():
            raise Stopped(cause)

    def _said(self) -> list[float]:
        """The last sums, which may still be on their way."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return list(self._sums.tolist())
