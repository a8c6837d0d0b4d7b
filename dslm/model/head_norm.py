"""What normalizes queries and keys: RMSNorm of each head by itself, with one scale for all heads.

Henry et al. 2020 and Dehghani et al. 2023 keep attention scores from growing so; the form, with a
scale for each place of a head and before rotary positions, is that of Qwen3.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.initial import ONES, mark
from dslm.model.tensor_parallel import enter, tensor_axis


def head_norm(config: ModelConfig) -> nn.Module:
    """The norm of the queries or the keys of a block, which does nothing without `qk_norm`."""
    return HeadNorm(config) if config.qk_norm else nn.Identity()


class HeadNorm(nn.RMSNorm):
    """A norm of the vectors of heads; ranks that hold different heads all learn its scale."""

    __call__: Callable[..., Tensor]

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.key_width, eps=config.norm_epsilon)
        self.axis = tensor_axis()
        mark(self.weight, ONES)

    def forward(self, vectors: Tensor) -> Tensor:
        """Map [B, H, S, E] to the same shape."""
        weight = enter(self.weight, self.axis)
        return F.rms_norm(vectors, self.normalized_shape, weight, self.eps)
