"""Causal language modelling: predict each token from those before it (Radford et al. 2018)."""

from __future__ import annotations

from torch import Tensor

from dslm.objectives.cross_entropy import IGNORE, cross_entropy


class Causal:
    """Rows of S + 1 tokens become S inputs and, one place on, S labels."""

    ignore = IGNORE

    @staticmethod
    def example(rows: Tensor) -> tuple[Tensor, Tensor]:
        """Split rows of tokens.

        Args:
            rows: [B, S + 1] token ids.

        Returns:
            Inputs [B, S] and labels [B, S].
        """
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    @staticmethod
    def loss(scores: Tensor, labels: Tensor) -> Tensor:
        """Mean negative log-likelihood of the labels in nats; see `cross_entropy`."""
        return cross_entropy(scores, labels)
