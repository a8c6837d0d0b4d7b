"""A linear map of 8-bit weights and inputs, computed with whole numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dslm.quantization.rounding import steps_and_levels

BITS = 8


def is_fast(device: torch.device) -> bool:
    """Whether whole numbers are multiplied faster than floats there: on a CPU that has VNNI.

    Without these instructions PyTorch's product takes some 50 times as long as that of floats.
    """
    return device.type == "cpu" and torch.cpu._is_vnni_supported()


class IntegerLinear(nn.Module):
    """What a `Linear` that rounds computes, from a quarter of the memory; for use, not training.

    The products are summed as whole numbers, exactly, and only then multiplied by the steps.

    Args:
        steps: [out, 1, 1], one for each output.
        levels: [out, 1, in], whole numbers.
        bias: [out], if there is one.
    """

    def __init__(self, steps: Tensor, levels: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.levels, self.steps, self.bias = levels[:, 0].to(torch.int8), steps.view(-1), bias

    def forward(self, inputs: Tensor) -> Tensor:
        """Map […, in] to […, out]; the inputs of each token are rounded to a step of their own."""
        steps, levels = steps_and_levels(inputs.flatten(0, -2), BITS, None, storable=False)
        sums = torch._int_mm(levels[:, 0].to(torch.int8), self.levels.t())
        found = sums.float().mul_(steps[:, 0]).mul_(self.steps)
        if self.bias is not None:
            found += self.bias
        return found.view(*inputs.shape[:-1], len(self.steps)).to(inputs.dtype)
