"""Cross-entropy that works in place: no second copy of the scores, in float32 or otherwise."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dslm.objectives.batch import IGNORE

CHUNK = 1 << 23
"""Scores turned to float32 at a time: 32 MiB."""


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    """Negative log-likelihood of all labels that count, summed up, in nats.

    So the loss of a batch does not depend on how it is cut into micro-batches. The scores are
    overwritten with their gradient, because for a large vocabulary each copy of them would be the
    largest tensor of the whole step.

    Args:
        scores: [B, S, V]; not to be used afterwards.
        labels: [B, S], `IGNORE` where nothing is to be predicted.

    Returns:
        A float32 scalar.
    """
    flat = scores.flatten(0, -2), labels.flatten()
    loss: Tensor = _CrossEntropy.apply(*flat)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    """Σ -log softmax(scores)[label], its gradient computed in the forward pass.

    What the sum is divided by comes with the loss scale: alone it would let the gradient underflow
    in float16.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor) -> Tensor:
        total = scores.new_zeros((), dtype=torch.float32)
        pieces = (torch.split(tensor, _rows(scores)) for tensor in (scores, labels))
        for piece, label in zip(*pieces, strict=True):
            target, ignored = label.clamp(min=0)[:, None], (label == IGNORE)[:, None]
            logarithms = piece.float().log_softmax(-1)
            total = total - logarithms.gather(-1, target).masked_fill_(ignored, 0).sum()
            if ctx.needs_input_grad[0]:
                gradient = logarithms.exp_()
                gradient.scatter_add_(-1, target, gradient.new_full(target.shape, -1.0))
                piece.copy_(gradient.masked_fill_(ignored, 0))
        ctx.save_for_backward(scores)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(upstream[0]), None


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
