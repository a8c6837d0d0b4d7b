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
    vnni = torch.cpu._is_vnni_supported() and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return device.type == "cpu" and vnni


class IntegerLinear(nn.Module):
    """What a `Linear` that rounds computes, from a quarter of the memory; for use, not training.

    The products are summed as whole numbers, exactly, and only then multiplied by the steps. oneDNN
    keeps the weight in the order in which it reads it, which tells where a single token is written.

    Args:
        steps: [out, 1, 1], one for each output.
        levels: [out, 1, in], whole numbers.
        bias: [out], if there is one.
    """

    def __init__(self, steps: Tensor, levels: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.packed = torch.ops.onednn.qlinear_prepack(levels[:, 0].to(torch.int8), None)
        self.steps, self.bias = steps.view(-1), bias
        self.zeros = torch.zeros(len(steps), dtype=torch.int64)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map […, in] to […, out]; the inputs of each token are rounded to a step of their own."""
        steps, levels = steps_and_levels(inputs.flatten(0, -2), BITS, None, storable=False)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            qx=levels[:, 0].to(torch.int8),
            x_scale=1.0,
            x_zero_point=0,
            qw=self.packed,
            w_scale=self.steps,
            w_zero_point=self.zeros,
            bias=None,
            output_scale=1.0,
            output_zero_point=0,
            output_dtype=torch.float32,
            post_op_name="none",
            post_op_args=[],
            post_op_algorithm="",
        )
        found *= steps[:, 0]
        if self.bias is not None:
            found += self.bias
        return found.view(*inputs.shape[:-1], len(self.steps)).to(inputs.dtype)
