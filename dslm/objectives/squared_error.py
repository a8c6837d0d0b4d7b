"""The squared error of predicted vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from dslm.objectives.batch import IGNORE


def squared_error(predicted: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
    """The squared distance of all vectors that count, summed up.

    Args:
        predicted: [B, S, D].
        targets: [B, S, D].
        labels: [B, S], `IGNORE` where a position does not count.

    Returns:
        A float32 scalar.
    """
    distances = (predicted.float() - targets.float()).square().sum(-1)
    return distances.masked_fill(labels == IGNORE, 0).sum()


@torch.no_grad()
def explained_variance(predicted: Tensor, targets: Tensor, labels: Tensor) -> Tensor:
    """How much of the variance of the targets is explained: 1 - squared error / variance.

    Args:
        predicted: [B, S, D].
        targets: [B, S, D]; their variance is that within this micro-batch, over all positions.
        labels: [B, S], `IGNORE` where a position does not count.

    Returns:
        [1, 2] float32: the variance that is explained, and the variance, both summed up.
    """
    counted = labels != IGNORE
    found, wanted = predicted[counted].float(), targets[counted].float()
    variance = (wanted - wanted.mean(0)).square().sum()
    return torch.stack([variance - (found - wanted).square().sum(), variance])[None]
