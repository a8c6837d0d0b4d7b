"""The bottleneck of an autoencoder: all that its decoder learns of a row goes through here.

The path of a row's S hidden vectors: each of `bottleneck_length` equal pieces of the row becomes
the mean of its vectors, padding left out; this is mapped to `bottleneck_width` numbers: the code
(Hinton & Salakhutdinov 2006). Back: the code of a piece is mapped to the model's width, for every
position of the piece alike, and a vector of the position is added.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dslm.model.config import ModelConfig
from dslm.model.embedding import embedding_deviation
from dslm.model.layers import Linear, Table
from dslm.model.sequence import SequencePart, first_of
from dslm.model.visibility import Visibility


class Bottleneck(nn.Module):
    """From hidden vectors to a code, and from the code alone back to hidden vectors."""

    sequence_part: SequencePart | None = None
    """Of the rows, which pieces come in; `None` = all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.piece = config.sequence // config.bottleneck_length
        width, narrow = config.width, config.narrow_width
        self.narrow = Linear(width, narrow, config.bias, config.initialization)
        self.widen = Linear(narrow, width, config.bias, config.initialization)
        self.embedding = Table(config.sequence, width, embedding_deviation(config))

    def forward(self, hidden: Tensor, visibility: Visibility | None = None) -> Tensor:
        """Map [B, S, D], S = `sequence`, to [B, S, D] by way of the code."""
        numbers = None if visibility is None else visibility.numbers
        if numbers is not None and self.sequence_part is not None:
            numbers = self.sequence_part.own(numbers)
        return self.decode(self.encode(hidden, numbers))

    def encode(self, hidden: Tensor, visibility: Tensor | None = None) -> Tensor:
        """The code, [B, `bottleneck_length`, `bottleneck_width`]; padding alone counts as zeros.

        There is padding where `visibility` [B, S] is 0.
        """
        pieces = torch.unflatten(hidden, 1, (-1, self.piece))
        if visibility is None:
            means = pieces.mean(2)
        else:
            real = (visibility != 0).to(hidden.dtype).view(*pieces.shape[:3], 1)
            means = (pieces * real).sum(2) / real.sum(2).clamp(min=1)
        return self.narrow(means)

    def decode(self, code: Tensor) -> Tensor:
        """Hidden vectors [B, S, D] out of a code."""
        each = self.widen(code).repeat_interleave(self.piece, dim=1)
        first = first_of(self.sequence_part, each.shape[1])
        return each + self.embedding(torch.arange(first, first + each.shape[1], device=code.device))
