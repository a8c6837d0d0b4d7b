"""Attention of a decoder's tokens to what an encoder made of a source (Vaswani et al. 2017).

The path of a value: hidden → queries; the encoder's output, `memory` → keys and values, once for
each source when generating → attention to every token of the source that is not padding → output
projection.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from dslm.model.config import ModelConfig
from dslm.model.dropout import Dropout, Site
from dslm.model.head_norm import head_norm
from dslm.model.sequence import SequencePart, first_of
from dslm.model.tensor_parallel import ColumnLinear, RowLinear
from dslm.model.visibility import masked


class Source(NamedTuple):
    """What a layer keeps of a source."""

    keys: Tensor
    """[B, K, T, E]."""
    values: Tensor
    """[B, K, T, E]."""
    mask: Tensor | None
    """Which tokens are no padding, [B, 1, 1, T]; `None` = all."""

    def of(self, rows: list[int]) -> Source:
        """The sources of these rows, in this order."""
        mask = None if self.mask is None else self.mask[rows]
        return Source(self.keys[rows], self.values[rows], mask)


class CrossAttention(nn.Module):
    """Queries of a decoder, keys and values of the encoder."""

    sequence_part: SequencePart | None = None
    """Of targets and sources, which tokens come in; `None` = all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.key_width, self.scaled = config.key_width, config.attention_scale
        width, queries, groups = config.width, config.query_width, config.group_width
        self.ask = ColumnLinear(width, [queries], config.bias, config.initialization)
        self.remember = ColumnLinear(width, [groups] * 2, config.bias, config.initialization)
        self.axis, self.stacked = self.ask.axis, {"remember.weight": tuple(self.remember.widths)}
        self.query_norm, self.key_norm = head_norm(config), head_norm(config)
        self.output = RowLinear(queries, width, config.bias, config.output_deviation)
        self.dropout = Dropout(config.dropout, Site.CROSS_ATTENTION)

    def forward(self, hidden: Tensor, source: Source, dropout_keys: Tensor | None = None) -> Tensor:
        """Let each token [B, S, D] attend to the source.

        Args:
            hidden: [B, S, D].
            source: of `read`.
            dropout_keys: [B], see `dslm.model.dropout`; needed in training.

        Returns:
            [B, S, D].
        """
        part = self.sequence_part
        queries = self.query_norm(self._heads(self.ask(hidden)))
        first = self.axis.rank * queries.shape[1]
        if part is not None:
            (queries,) = part.heads(queries)
            first += first_of(part, queries.shape[1])
        dropped = self.dropout.of_heads(queries, dropout_keys, None, first)
        keys, values, mask = source
        mixed = masked(queries, keys, values, mask, dropped, scale=None if self.scaled else 1.0)
        mixed = mixed if part is None else part.tokens(mixed)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def read(self, memory: Tensor, numbers: Tensor | None = None) -> Source:
        """Keys and values of a source.

        Args:
            memory: [B, T, D], the encoder's output.
            numbers: [B, T], 0 at padding; see `dslm.model.visibility`. None is padding without it.
                Of a source that several ranks share, those of the whole.
        """
        keys, values = (self._heads(part) for part in self.remember(memory).chunk(2, dim=-1))
        keys = self.key_norm(keys)
        if self.sequence_part is not None:
            keys, values = self.sequence_part.heads(keys, values)
        if numbers is None:
            return Source(keys, values, None)
        real = numbers != 0
        real |= ~real.any(-1, keepdim=True)  # of padding alone everything is seen, not nothing
        return Source(keys, values, real[:, None, None])

    def _heads(self, vectors: Tensor) -> Tensor:
        """[B, S, K E] as [B, K, S, E]."""
        return vectors.view(*vectors.shape[:2], -1, self.key_width).transpose(1, 2)
