"""A recurrent layer instead of attention: LSTM and GRU as baselines behind the same contract.

The path of a value: hidden → normalization → the recurrence over the tokens, from left to right →
dropout → residual sum. A block is this one sublayer, as in stacked recurrent language models
(Zaremba et al. 2014): the gates are its feed-forward. When generating, a `State` of fixed size
stands for all tokens before, however many there were.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dslm.model.config import GATES, ModelConfig
from dslm.model.dropout import Dropout, Site
from dslm.model.initial import ZEROS, Orthogonal, Steps, Uniform, begin
from dslm.model.layers import norm
from dslm.model.memory import Memory
from dslm.model.recompute import recomputed


class State(Memory):
    """What a recurrent layer remembers of the tokens it has read; `like` as for a `Cache`."""

    def __init__(self, config: ModelConfig, batch: int, like: Tensor) -> None:
        super().__init__(batch)
        self.vectors = _empty_memory(config, batch, like)

    def replace(self, vectors: list[Tensor], tokens: int) -> None:
        """Remember the vectors that reading some more tokens has left."""
        self.vectors = vectors
        self.advance(tokens)

    def _keep(self, rows: list[int]) -> None:
        self.vectors = [vector[:, rows] for vector in self.vectors]

    def _put(self, rows: list[int], other: State) -> None:
        for own, vector in zip(self.vectors, other.vectors, strict=True):
            own[:, rows] = vector


class Recurrence(nn.Module):
    """An LSTM (Hochreiter & Schmidhuber 1997) or a GRU (Cho et al. 2014), computed by torch.

    Its four weights are those of `torch.nn.LSTM` and `torch.nn.GRU`, gate under gate in torch's
    order: input, forget, cell, output; or reset, update, new.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        width, rows = config.width, GATES[config.block] * config.width
        gates = (width,) * GATES[config.block]
        self.stacked = {"input": gates, "recurrent": gates}
        self.input = nn.Parameter(torch.empty(rows, width))
        self.recurrent = nn.Parameter(torch.empty(rows, width))
        if config.bias:
            self.input_bias = nn.Parameter(torch.empty(rows))
            self.recurrent_bias = nn.Parameter(torch.empty(rows))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw each gate's matrices, so that neither tokens nor memory grow or shrink.

        Those of the input uniformly (Glorot & Bengio 2010), those of the memory orthogonal (Saxe
        et al. 2014). An LSTM's forget gate begins open, by a bias of 1 (Jozefowicz et al. 2015).
        """
        # The bound of a uniform draw with variance 1 / width.
        begin(self.input, Uniform(math.sqrt(3 / self.config.width)))
        begin(self.recurrent, Orthogonal())
        if self.config.bias:
            begin(self.recurrent_bias, ZEROS)
            lstm = self.config.block == "lstm"
            begin(self.input_bias, Steps((0.0, 1.0, 0.0, 0.0)) if lstm else ZEROS)

    def forward(self, hidden: Tensor, state: State | None = None) -> Tensor:
        """Map [B, S, D] to [B, S, D]; each token sees, through what is remembered, all before it.

        When generating, `hidden` follows the tokens of which `state` is left.
        """
        begin = state.vectors if state else _empty_memory(self.config, len(hidden), hidden)
        weights: list[Tensor] = list(self.parameters())
        # Has biases, one layer, no dropout, whether to learn, one direction, batch first.
        rest = (self.config.bias, 1, 0.0, self.training, False, True)
        if self.config.block == "lstm":
            output, *left = torch.lstm(hidden, begin, weights, *rest)
        else:
            output, *left = torch.gru(hidden, begin[0], weights, *rest)
        if state is not None:
            state.replace(left, hidden.shape[1])
        return output


class RecurrentBlock(nn.Module):
    """A recurrence with its normalization and residual sum, before or after as in `Block`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.pre = config.norm_position == "pre"
        self.recompute = config.recompute
        self.dropout = Dropout(config.dropout, Site.MIXED)
        self.norm, self.recurrence = norm(config), Recurrence(config)

    def forward(
        self, hidden: Tensor, dropout_keys: Tensor | None = None, cache: State | None = None
    ) -> Tensor:
        """Map [B, S, D] to [B, S, D].

        Args:
            hidden: [B, S, D].
            dropout_keys: [B], see `dslm.model.dropout`; needed in training.
            cache: holds what earlier tokens left when generating.
        """
        if self.recompute and self.training:
            return recomputed(self, self._forward, hidden, dropout_keys)
        return self._forward(hidden, dropout_keys, cache)

    def _forward(self, hidden: Tensor, keys: Tensor | None, state: State | None = None) -> Tensor:
        change = self.recurrence(self.norm(hidden) if self.pre else hidden, state)
        hidden = hidden + self.dropout(change, keys)
        return hidden if self.pre else self.norm(hidden)


def _empty_memory(config: ModelConfig, batch: int, like: Tensor) -> list[Tensor]:
    """The memory before the first token, [1, B, D] each: output and, of an LSTM, cell."""
    count = 2 if config.block == "lstm" else 1
    return [like.new_zeros(1, batch, config.width) for _ in range(count)]
