"""Whether the numbers of training are still finite, found by every rank alike.

A step's loss and gradient become four numbers on the device, are reduced over the ranks and copied
to the host. A GPU's are read a step later, when they have arrived, so that the host never waits for
the device; `verdicts` waits for the newest where something is to be written.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class NotFinite:
    """What was not finite, and where it was first seen."""

    step: int
    what: str
    """Such as ``the loss is nan``."""
    rank: int | None
    """The only rank that saw it; `None` when several did."""

    def __str__(self) -> str:
        rank = "" if self.rank is None else f" on rank {self.rank}"
        return f"{self.what} at step {self.step}{rank}"


class FiniteCheck:
    """Looks at every step; all ranks make the same calls and get the same answers.

    Args:
        device: where losses are.
        losses: whether the mean loss of all ranks is wanted too.
    """

    def __init__(self, device: torch.device, losses: bool) -> None:
        self.device, self.losses = device, losses
        self.rank, self.world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.late = int(device.type != "cpu")
        self.pending: deque[tuple[int, Tensor, Any]] = deque()

    def look(self, step: int, loss: Tensor, gradient_norm: Tensor | float | None) -> None:
        """Note a step.

        Args:
            step: its number, from 1.
            loss: this rank's.
            gradient_norm: the same on all ranks; `None` where it may be anything.
        """
        loss, norm = loss.detach().float(), self._on_device(gradient_norm)
        bad = (~loss.isfinite()).float()
        codes = [self.rank + 1, self.world - self.rank]
        numbers = torch.stack(
            [*(bad * code for code in codes), loss.isnan().float(), (~norm.isfinite()).float()]
        )
        mean = loss / self.world
        if self.losses and self.world > 1:
            torch.distributed.all_reduce(mean)
        seen = torch.cat([self._reduced(numbers), mean.view(1)])
        self.pending.append((step, *self._sent(seen)))

    def verdicts(self, *, wait: bool = False) -> Iterator[tuple[int, NotFinite | None, float]]:
        """Each step looked at, in order and once, with what of it was not finite and its loss.

        Args:
            wait: whether for the newest step too.
        """
        while self.pending and (wait or len(self.pending) > self.late):
            step, numbers, arrived = self.pending.popleft()
            if arrived is not None:
                arrived.synchronize()
            *seen, loss = numbers.tolist()
            yield step, self._verdict(step, *seen), loss

    def _verdict(
        self, step: int, last: float, first: float, nan: float, gradient: float
    ) -> NotFinite | None:
        if last:
            return NotFinite(
                step, f"the loss is {'nan' if nan else 'inf'}", self._only(last, first)
            )
        return NotFinite(step, "the gradient's norm is not finite", None) if gradient else None

    def among(self, step: int, named: Mapping[str, Sequence[Tensor]]) -> NotFinite | None:
        """The first kind of tensors, of those of any rank, in which a number is not finite."""
        bad = [(~largest(tensors, self.device).isfinite()).float() for tensors in named.values()]
        codes = [self.rank + 1, self.world - self.rank]
        numbers = self._reduced(torch.stack([b * code for b in bad for code in codes]))
        for what, (last, first) in zip(named, numbers.view(-1, 2).tolist(), strict=True):
            if last:
                return NotFinite(step, f"{what} not finite", self._only(last, first))
        return None

    def forget(self) -> None:
        """Forget the steps looked at."""
        self.pending.clear()

    def _on_device(self, value: Tensor | float | None) -> Tensor:
        """A number as a tensor; DeepSpeed writes a norm that is not finite as -1 here and there."""
        if torch.is_tensor(value):
            norm = value.detach().float().to(self.device)
            return torch.where(norm < 0, math.inf, norm)
        number = 0.0 if value is None else float(value)
        return torch.full((), math.inf if number < 0 else number, device=self.device)

    def _reduced(self, numbers: Tensor) -> Tensor:
        """The largest of all ranks."""
        if self.world > 1:
            torch.distributed.all_reduce(numbers, torch.distributed.ReduceOp.MAX)
        return numbers

    def _sent(self, numbers: Tensor) -> tuple[Tensor, Any]:
        """The numbers on their way to the host, and the event of their arrival."""
        if not self.late:
            return numbers, None
        host = torch.empty(numbers.shape, pin_memory=True).copy_(numbers, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        return host, arrived

    def _only(self, last: float, first: float) -> int | None:
        """The rank that is the first and the last that saw something; `None` in a world of one."""
        alone = self.world > 1 and last - 1 == self.world - first
        return int(last) - 1 if alone else None


def largest(tensors: Sequence[Tensor], device: torch.device) -> Tensor:
    """The largest magnitude of all numbers; nan if one is."""
    kept = [tensor.detach() for tensor in tensors if tensor.numel() and tensor.is_floating_point()]
    return nn.utils.get_total_norm(kept, math.inf).float().to(device)
