"""From outputs to the loss, and to an objective's other metrics when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.profiler import record_function

from dslm.objectives.base import Objective
from dslm.parallel.veto import spoil_gradient


class LossFunction:
    """An objective's loss and metrics on the micro-batches of one rank.

    The loss of a step is the mean over everything that is scored in it: by all replicas, in all
    micro-batches. DeepSpeed takes the mean over micro-batches, so each gets its sum, times how many
    there are, by how many labels all of them have; see `share`. While the model learns, labels may
    be smoothed and classes weighted; what is measured is plain.

    In a pipeline only the last stage sees outputs; on the others nothing is collected.

    Args:
        objective: defines both.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.weights = torch.ones(objective.parts)
        """[parts]: what the sums of a micro-batch are multiplied by."""
        self.collect = False
        """Whether metrics are collected; they take a pass over all scores."""
        self.observe: Callable[[Any, Any], object] | None = None
        """Called with outputs and labels before the loss, which may overwrite the outputs."""
        self.limit: float | None = None
        """The highest loss of a step that is made; `None` makes it whatever its loss."""
        self.group: Any = None
        """The ranks that hold the same weights as this one; `None` are all ranks."""
        self._collected: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._micro_batches = 0

    def __call__(self, outputs: Any, labels: Any) -> Tensor:
        """The loss, a float32 scalar; the outputs may be overwritten."""
        if self.collect and self.objective.measures:
            self._collected.append(self.objective.measure(outputs, labels))
        if self.observe is not None:
            self.observe(outputs, labels)
        with record_function("loss"):
            loss = (self.objective.loss(outputs, labels) * self.weights).sum()
        spoil_gradient(loss, self._above_limit(loss.detach()))
        return loss

    def share(self, counts: Tensor, micro_batches: int, copies: int) -> None:
        """Make the mean over some micro-batches the loss of all of them together.

        Args:
            counts: [parts], `Objective.counts` of all of them; a part without any label is zero.
            micro_batches: how many they are on each replica.
            copies: over how many ranks gradients are averaged.
        """
        self.weights = (micro_batches * copies / counts.where(counts > 0, 1)).float()
        self._losses, self._micro_batches = [], micro_batches

    def _above_limit(self, loss: Tensor) -> Tensor | None:
        """Infinite if the loss of the whole step is above its limit; known with its last part."""
        self._losses.append(loss)
        if self.limit is None or len(self._losses) < self._micro_batches:
            return None
        mean = torch.stack(self._losses).mean()
        torch.distributed.all_reduce(mean, group=self.group)
        mean /= torch.distributed.get_world_size(self.group)
        return torch.where(mean > self.limit, math.inf, 0.0)

    def pop_metrics(self) -> Tensor:
        """[measures, 2]: sums and counts of everything collected since the last call."""
        collected, self._collected = self._collected, []
        return (
            torch.stack(collected).sum(0)
            if collected
            else torch.zeros(len(self.objective.measures), 2)
        )
