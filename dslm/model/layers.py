"""The leaves: modules that hold weights, each drawing its own.

Under ZeRO-3 a weight exists only while its own module is being built or called, so nobody else may
initialize it: every leaf fills its weights in `reset_parameters`. Draws are made on the CPU with
torch's default generator, seeded by `Stage.build`, so that a weight does not depend on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from dslm.model.config import ModelConfig


class Linear(nn.Linear):
    """A linear map whose matrix is drawn from N(0, `deviation`²) and whose bias starts at zero."""

    __call__: Callable[..., Tensor]

    def __init__(self, inputs: int, outputs: int, bias: bool, deviation: float) -> None:
        self.deviation = deviation
        super().__init__(inputs, outputs, bias)

    def reset_parameters(self) -> None:
        """Draw the matrix, zero the bias."""
        draw(self.weight, self.deviation)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class Table(nn.Embedding):
    """A table of vectors drawn from N(0, `deviation`²)."""

    __call__: Callable[..., Tensor]

    def __init__(self, rows: int, width: int, deviation: float) -> None:
        self.deviation = deviation
        super().__init__(rows, width)

    def reset_parameters(self) -> None:
        """Draw every vector."""
        draw(self.weight, self.deviation)


def norm(config: ModelConfig) -> nn.Module:
    """A model's normalization: LayerNorm (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019)."""
    if config.norm == "rms":
        return nn.RMSNorm(config.width, eps=config.norm_epsilon)
    return nn.LayerNorm(config.width, eps=config.norm_epsilon, bias=config.bias)


def stacked_rows(model: nn.Module) -> Iterator[tuple[nn.Parameter, tuple[int, ...]]]:
    """The weights that hold several matrices one under the other, with the rows of each.

    Queries, keys and values, the two halves of a gated feed-forward layer and the gates of a
    recurrence are computed by one product; their modules name them in ``stacked``.
    """
    for module in model.modules():
        for name, rows in getattr(module, "stacked", {}).items():
            yield module.get_parameter(name), rows


@torch.no_grad()
def draw(weight: Tensor, deviation: float) -> None:
    """Fill a weight from N(0, `deviation`²), drawn on the CPU in float32."""
    if weight.is_meta:  # a shape without values
        return
    weight.copy_(torch.normal(0.0, deviation, weight.shape, device="cpu"))


def select(hidden: Tensor, selected: Tensor | None) -> Tensor:
    """The vectors [B, M, D] at some positions [B, M] of rows [B, S, D]; without these, all."""
    if selected is None:
        return hidden
    rows = torch.arange(len(hidden), device=hidden.device)[:, None] * hidden.shape[1]
    found = hidden.flatten(0, 1).index_select(0, (rows + selected).flatten())
    return found.view(*selected.shape, -1)
