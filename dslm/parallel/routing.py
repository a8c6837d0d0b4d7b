"""What the routers of a model are told before a step, and what they measured in it.

A router adds its losses to the gradient itself (`dslm.model.experts`), so it must know by what the
gradient of the objective's loss is multiplied where it passes: DeepSpeed divides that loss by the
number of micro-batches and multiplies it by float16's loss scale. The mean over replicas is taken
of the sum of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dslm.model.experts import Experts
from dslm.model.stages import Stage


class Routing:
    """The routers on this rank.

    Args:
        module: the part of the model that is on it.
        stages: the whole model.
        places: the index of the layer of each weight of `module`, by the weight's `id`.
        device: that of the weights.
    """

    def __init__(
        self, module: torch.nn.Module, stages: Sequence[Stage], places: dict[int, int], device: Any
    ) -> None:
        experts = stages[-1].config.experts
        self.scale = torch.ones((), device=device)
        self.sums = torch.zeros(len(stages), 3 + experts, device=device)
        """For each layer, see `Experts.measured`."""
        for layer in module.modules():
            if isinstance(layer, Experts):
                layer.scale = self.scale
                layer.measured = self.sums[places[id(layer.router.weight)]]

    def begin(self, scale: float) -> None:
        """Begin a step whose gradients are multiplied by a number."""
        self.scale.fill_(scale)
        self.sums.zero_()

    def measures(self) -> dict[str, float]:
        """What was measured in the last step over all ranks; every rank must call it.

        Returns:
            The mean of both losses over all rows and layers, without their weights, and the largest
            share of the choices of any layer that fell on one expert.
        """
        sums = self.sums.clone()
        torch.distributed.all_reduce(sums)
        sums = sums[sums[:, 0] > 0]
        if not len(sums):
            return {}
        balance, size = (sums[:, 1:3] / sums[:, :1]).mean(0).tolist()
        counts = sums[:, 3:]
        largest = float((counts / counts.sum(1, keepdim=True)).max())
        return {
            "router_balance_loss": balance,
            "router_z_loss": size,
            "largest_expert_share": largest,
        }
