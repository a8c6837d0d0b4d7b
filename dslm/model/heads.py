"""What models other than plain ones have between the last block and their outputs.

The path of the last hidden vectors in BERT (Devlin et al. 2018): `PredictionTransform` takes them
through a layer of their own and, for pairs, puts the pooled first one before them; the head scores
them; `OutputBias` adds the bias of each token id and scores the pair. Of a pair the first position
is always among those selected. In an autoencoder that predicts vectors: `Regression` maps them
once more, `with_targets` puts the embeddings beside them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.dropout import Dropout, Site
from dslm.model.embedding import TokenEmbedding, embedding_deviation
from dslm.model.initial import ZEROS, begin
from dslm.model.layers import Linear, norm


class PredictionTransform(nn.Module):
    """A layer before the head, and the pooler of the first token."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, deviation = config.width, config.initialization
        self.approximate = "tanh" if config.activation == "gelu_tanh" else "none"
        self.pooler = Linear(width, width, True, deviation) if config.pair_head else None
        self.dense = self.norm = None
        if config.transform:
            self.dense = Linear(width, width, config.bias, deviation)
            self.norm = norm(config)

    def forward(self, hidden: Tensor) -> Tensor:
        """Make hidden vectors [B, M, D] ready to be scored.

        Returns:
            [B, M, D]; with a pooler [B, 1 + M, D], the pair's vector first.
        """
        wanted = hidden
        if self.dense is not None and self.norm is not None:
            wanted = self.norm(F.gelu(self.dense(wanted), approximate=self.approximate))
        if self.pooler is None:
            return wanted
        return torch.cat([self.pooler(hidden[:, :1]).tanh(), wanted], dim=1)


class ClassHead(nn.Module):
    """Scores of the classes of a task, for each vector by itself."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, deviation = config.width, config.initialization
        self.pooler = Linear(width, width, True, deviation) if config.pooled else None
        self.dropout = Dropout(config.dropout, Site.HEAD)
        self.classes = Linear(width, config.classes, config.classes_biased, deviation)

    def forward(self, hidden: Tensor, dropout_keys: Tensor | None = None) -> Tensor:
        """Map hidden vectors [B, M, D] to scores [B, M, C].

        Args:
            hidden: [B, M, D].
            dropout_keys: [B], see `dslm.model.dropout`; needed in training.
        """
        if self.pooler is not None:
            hidden = self.pooler(hidden).tanh()
        return self.classes(self.dropout(hidden, dropout_keys))


class OutputBias(nn.Module):
    """The bias of each token id's score, and the scores of the pair."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.bias = Bias(config.size) if config.transform else None
        self.pair = (
            Linear(config.width, 2, True, config.initialization) if config.pair_head else None
        )

    def forward(self, value: Tensor | tuple[Tensor, Tensor]) -> Tensor | tuple[Tensor, Tensor]:
        """Map scores [B, M, V], and the pair's vector [B, D] if there is one, to the outputs.

        Returns:
            Scores [B, M, V], which were added to in place; and those of the pair [B, 2].
        """
        scores, pooled = value if isinstance(value, tuple) else (value, None)
        if self.bias is not None:
            scores = self.bias(scores)
        return scores if self.pair is None else (scores, self.pair(pooled))


class Bias(nn.Module):
    """A number for each token id, added to its score."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Begin with zero."""
        begin(self.bias, ZEROS)

    def forward(self, scores: Tensor) -> Tensor:
        """Add to scores [B, M, V] in place: they are the largest tensor of a step."""
        return scores.add_(self.bias)


def paired_head(head: nn.Module, hidden: Tensor, **options: bool) -> tuple[Tensor, Tensor]:
    """Scores [B, M, V], and the pair's vector [B, D], of what `PredictionTransform` gives."""
    return head(hidden[:, 1:], **options), hidden[:, 0]


class Regression(nn.Module):
    """The last map of a model whose outputs are compared with embeddings."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        deviation = embedding_deviation(config) / math.sqrt(config.width)  # outputs as embeddings
        self.dense = Linear(config.width, config.width, config.bias, deviation)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map [B, S, D] to [B, S, D]."""
        return self.dense(hidden)


def with_targets(
    embedding: TokenEmbedding, predicted: Tensor, originals: Tensor
) -> tuple[Tensor, Tensor]:
    """What was predicted [B, S, D], and the embeddings [B, S, D] that it is to be compared with.

    These are of the ids [B, S] before anything was done to them; no gradient flows from them.
    """
    targets: Tensor = embedding(originals)
    # In a pipeline the last stage must have a gradient of the embedding to add to the first one's.
    return predicted + 0.0 * targets, targets.detach()
