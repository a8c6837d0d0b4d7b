"""From outputs to the loss, and to an objective's other metrics when they are asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dslm.objectives.base import Objective


class LossFunction:
    """An objective's loss and metrics on the micro-batches of one rank.

    In a pipeline only the last stage sees outputs; on the others nothing is collected.

    Args:
        objective: defines both.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.collect = False
        """Whether metrics are collected; they take a pass over all scores."""
        self._collected: list[Tensor] = []

    def __call__(self, outputs: Any, labels: Any) -> Tensor:
        """The loss, a float32 scalar; the outputs may be overwritten."""
        if self.collect and self.objective.measures:
            self._collected.append(self.objective.measure(outputs, labels))
        return self.objective.loss(outputs, labels)

    def pop_metrics(self) -> Tensor:
        """[measures, 2]: sums and counts of everything collected since the last call."""
        collected, self._collected = self._collected, []
        return (
            torch.stack(collected).sum(0)
            if collected
            else torch.zeros(len(self.objective.measures), 2)
        )
