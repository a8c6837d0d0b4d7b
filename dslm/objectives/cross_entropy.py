"""Cross-entropy that works in place: no second copy of the scores, in float32 or otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dslm.objectives.batch import IGNORE

CHUNK = 1 << 23
"""Scores turned to float32 at a time: 32 MiB."""


def cross_entropy(
    scores: Tensor, labels: Tensor, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Negative log-likelihood of all labels that count, summed up, in nats.

    So the loss of a batch does not depend on how it is cut into micro-batches. The scores are
    overwritten with their gradient, because for a large vocabulary each copy of them would be the
    largest tensor of the whole step.

    Args:
        scores: [B, S, V]; not to be used afterwards.
        labels: [B, S], `IGNORE` where nothing is to be predicted.
        weights: [V] float32, by which the terms of each class are multiplied; 1 without them.
        smoothing: the share of each label that is spread evenly over all classes (Szegedy et al.
            2016, section 7).

    Returns:
        A float32 scalar.
    """
    flat = scores.flatten(0, -2), labels.flatten()
    loss: Tensor = _CrossEntropy.apply(*flat, weights, smoothing)  # type: ignore[no-untyped-call]
    return loss


@lru_cache(maxsize=8)
def on_device(weights: Sequence[float], device: torch.device) -> Tensor:
    """Weights of classes as a float32 tensor, which is copied once."""
    return torch.tensor(weights, dtype=torch.float32, device=device)


class _CrossEntropy(torch.autograd.Function):
    """Σ -Σ q[class] log softmax(scores)[class], its gradient computed in the forward pass.

    Of a label q is `weights` × (1 - `smoothing` at the label, and `smoothing` / V everywhere).

    What the sum is divided by comes with the loss scale: alone it would let the gradient underflow
    in float16.
    """

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, labels: Tensor, weights: Tensor | None, smoothing: float
    ) -> Tensor:
        total = scores.new_zeros((), dtype=torch.float32)
        plain = weights is None and not smoothing
        if not plain:
            weights = total.new_ones(scores.shape[-1]) if weights is None else weights
            spread, sharp = weights * (smoothing / scores.shape[-1]), weights * (1 - smoothing)
        pieces = (torch.split(tensor, _rows(scores)) for tensor in (scores, labels))
        for piece, label in zip(*pieces, strict=True):
            target, ignored = label.clamp(min=0)[:, None], (label == IGNORE)[:, None]
            logarithms = piece.float().log_softmax(-1)
            nats = logarithms.gather(-1, target)
            if not plain:
                own = sharp[target]
                nats = nats * own + (logarithms @ spread)[:, None]
            total = total - nats.masked_fill_(ignored, 0).sum()
            if ctx.needs_input_grad[0]:
                gradient = logarithms.exp_()
                if not plain:
                    gradient.mul_(own + spread.sum()).sub_(spread)
                gradient.scatter_add_(-1, target, torch.ones_like(nats).neg_() if plain else -own)
                piece.copy_(gradient.masked_fill_(ignored, 0))
        ctx.save_for_backward(scores)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream[0]), None, None, None


@torch.no_grad()
def loss_and_accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """Loss and accuracy over all positions that count, as sums; the scores stay as they are.

    Args:
        scores: [B, M, V].
        labels: [B, M].

    Returns:
        [2, 2] float32: nats and how many positions, right predictions and how many positions.
    """
    counted = labels != IGNORE
    found, wanted = scores[counted], labels[counted]
    nats = found.new_zeros((), dtype=torch.float32)
    pieces = (torch.split(tensor, _rows(scores)) for tensor in (found, wanted))
    for piece, label in zip(*pieces, strict=True):
        nats = nats + F.cross_entropy(piece.float(), label, reduction="sum")
    right = (found.argmax(-1) == wanted).sum()
    return torch.stack([nats, counted.sum(), right, counted.sum()]).float().view(2, 2)


def _rows(scores: Tensor) -> int:
    return max(1, CHUNK // scores.shape[-1])
