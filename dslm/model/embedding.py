"""From token ids to vectors, and from vectors back to scores of token ids (more in `heads`).

Every weight here has "embed" in its name: by that DeepSpeed's Muon knows what to leave to Adam.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.dropout import Dropout, Site
from dslm.model.layers import Linear, Table, norm
from dslm.model.positions import sinusoidal
from dslm.model.relative import RelativeTable
from dslm.model.sequence import SequencePart, first_of


class TokenEmbedding(nn.Module):
    """A vector for each token id, which can also score hidden vectors."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = TokenTable(config.size, config.width, embedding_deviation(config))

    def forward(self, inputs: Tensor, project: bool = False) -> Tensor:
        """Map ids [B, S] to vectors [B, S, D] or, to `project`, vectors to scores [B, S, V]."""
        return self.embedding(inputs, project)


class TokenTable(Table):
    """The table itself: both uses go through its `forward`, as ZeRO-3 has the weight only there."""

    def forward(self, inputs: Tensor, project: bool = False) -> Tensor:
        """See `TokenEmbedding`."""
        if not project:
            return super().forward(inputs)
        if self.quantizer is None:
            return F.linear(inputs, self.weight)
        return F.linear(self.quantizer.inputs(inputs), self.quantizer.weight(self.weight))


def tied_head(embedding: TokenEmbedding, hidden: Tensor, scale: float = 1.0) -> Tensor:
    """Scores [B, S, V] of hidden vectors [B, S, D] by the token embedding (Press & Wolf 2017)."""
    scores: Tensor = embedding(hidden if scale == 1 else hidden * scale, project=True)
    return scores


def decoder_embedding(
    embedding: TokenEmbedding, memory: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Vectors [B, S, D] of target ids [B, S], and beside them the encoder's output [B, T, D]."""
    return embedding(targets), memory


class Positions(nn.Module):
    """Adds to each token vector what the model uses for its position and its segment."""

    sequence_part: SequencePart | None = None
    """Of the rows, which tokens come in; `None` = all."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        if config.positions == "learned":
            self.embedding = Table(config.sequence, config.width, embedding_deviation(config))
        if config.positions == "relative":
            self.relative = RelativeTable(config)
        if config.segments:
            self.segment_embedding = Table(
                config.segments, config.width, embedding_deviation(config)
            )
        self.norm = norm(config) if config.embedding_norm else nn.Identity()
        self.dropout = Dropout(config.dropout, Site.EMBEDDING)

    def forward(
        self,
        hidden: Tensor,
        segments: Tensor | None = None,
        position_ids: Tensor | None = None,
        dropout_keys: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Map token vectors [B, S, D] to [B, S, D]; beside them a stack's relative positions.

        Args:
            hidden: [B, S, D].
            segments: [B, S], the kind of segment of each token; all of kind 0 without it.
            position_ids: [B, S], the position of each token; that in the row without it.
            dropout_keys: [B], see `dslm.model.dropout`; needed in training.
        """
        config = self.config
        if position_ids is None:
            first = first_of(self.sequence_part, hidden.shape[1])
            position_ids = torch.arange(first, first + hidden.shape[1], device=hidden.device)
        if config.positions == "learned":
            hidden = hidden + self.embedding(position_ids)
        elif config.positions == "sinusoidal":
            waves = sinusoidal(config.sequence, config.width, hidden.device)
            # Scaled, so that the waves do not drown the tokens (Vaswani et al. 2017, section 3.4).
            hidden = hidden * math.sqrt(config.width) + waves[position_ids].to(hidden.dtype)
        if config.segments:
            if segments is None:
                segments = torch.zeros(hidden.shape[:2], dtype=torch.int64, device=hidden.device)
            hidden = hidden + self.segment_embedding(segments)
        hidden = self.dropout(self.norm(hidden), dropout_keys)
        return (hidden, self.relative()) if config.positions == "relative" else hidden


class FinalNorm(nn.Module):
    """The normalization after the last pre-norm block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = norm(config)

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalize [B, S, D]."""
        normed: Tensor = self.norm(hidden)
        return normed


class Head(nn.Module):
    """An output projection with a weight of its own."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.unembedding = Linear(config.width, config.size, False, embedding_deviation(config))

    def forward(self, hidden: Tensor) -> Tensor:
        """Scores [B, S, V] of hidden vectors [B, S, D]."""
        return self.unembedding(hidden)


def embedding_deviation(config: ModelConfig) -> float:
    """Small enough that the first scores barely differ, hence a first loss near ln V."""
    return min(config.initialization, 0.3 / math.sqrt(config.width))
