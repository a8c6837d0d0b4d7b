"""The leaves: modules that hold weights, each knowing what its own begin with.

Every leaf says so in `reset_parameters`, see `dslm.model.initial`. Whether the values are made at
once or, part by part, by the ranks that keep them is decided by who builds the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.initial import ONES, ZEROS, Normal, begin, mark
from dslm.model.lora import LoraConfig
from dslm.model.low_rank import LowRank
from dslm.quantization.rounding import Quantizer


class Linear(nn.Linear):
    """A linear map whose matrix is drawn from N(0, `deviation`²) and whose bias starts at zero."""

    __call__: Callable[..., Tensor]
    quantizer: Quantizer | None = None
    """What its weights and inputs are rounded to; `None` = they are not."""
    product: Callable[[Tensor, Tensor], Tensor] | None = None
    """What multiplies inputs and matrix in place of torch, see `dslm.model.float8_linear`."""

    def __init__(self, inputs: int, outputs: int, bias: bool, deviation: float) -> None:
        self.deviation = deviation
        super().__init__(inputs, outputs, bias)
        self.lora: LowRank | None = None
        """What changes it while it stays as it is, see `adapt`."""

    def reset_parameters(self) -> None:
        """Draw the matrix, zero the bias."""
        begin(self.weight, Normal(self.deviation))
        if self.bias is not None:
            begin(self.bias, ZEROS)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map […, in] to […, out]."""
        outputs = self._map(inputs)
        return outputs if self.lora is None else outputs + self.lora(inputs)

    def adapt(self, config: LoraConfig) -> None:
        """Let a low-rank change of it learn, and nothing else."""
        self.requires_grad_(False)
        self.lora = LowRank(self.in_features, self.out_features, config)

    def _map(self, inputs: Tensor) -> Tensor:
        if self.product is not None:
            outputs = self.product(inputs, self.weight)
            return outputs if self.bias is None else outputs + self.bias
        if self.quantizer is None:
            return super().forward(inputs)
        weight = self.quantizer.weight(self.weight)
        return F.linear(self.quantizer.inputs(inputs), weight, self.bias)


class Table(nn.Embedding):
    """A table of vectors drawn from N(0, `deviation`²)."""

    __call__: Callable[..., Tensor]
    quantizer: Quantizer | None = None
    """As for `Linear`."""

    def __init__(self, rows: int, width: int, deviation: float) -> None:
        self.deviation = deviation
        super().__init__(rows, width)

    def reset_parameters(self) -> None:
        """Draw every vector."""
        begin(self.weight, Normal(self.deviation))

    def forward(self, ids: Tensor) -> Tensor:
        """The vectors […, D] of some rows."""
        if self.quantizer is None:
            return super().forward(ids)
        return F.embedding(ids, self.quantizer.weight(self.weight))


def norm(config: ModelConfig) -> nn.Module:
    """A model's normalization: LayerNorm (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019)."""
    made: nn.Module
    if config.norm == "rms":
        made = nn.RMSNorm(config.width, eps=config.norm_epsilon)
    else:
        made = nn.LayerNorm(config.width, eps=config.norm_epsilon, bias=config.bias)
    for name, weight in made.named_parameters():
        mark(weight, ONES if name == "weight" else ZEROS)
    return made


def stacked_rows(model: nn.Module) -> Iterator[tuple[nn.Parameter, tuple[int, ...]]]:
    """The weights that hold several matrices one under the other, with the rows of each.

    Queries, keys and values, the two halves of a gated feed-forward layer and the gates of a
    recurrence are computed by one product; their modules name them in ``stacked``.
    """
    for module in model.modules():
        for name, rows in getattr(module, "stacked", {}).items():
            yield module.get_parameter(name), rows


def select(hidden: Tensor, selected: Tensor | None) -> Tensor:
    """The vectors [B, M, D] at some positions [B, M] of rows [B, S, D]; without these, all."""
    if selected is None:
        return hidden
    rows = torch.arange(len(hidden), device=hidden.device)[:, None] * hidden.shape[1]
    found = hidden.flatten(0, 1).index_select(0, (rows + selected).flatten())
    return found.view(*selected.shape, -1)
