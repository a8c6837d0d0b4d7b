"""What a layer remembers of some texts while they are written, whatever it is made of.

The texts of a batch may be of different lengths. They begin at the same place, so that a text is
read, moved, repeated or begun anew without touching the others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

Own = TypeVar("Own", bound="Memory")


class Memory(ABC):
    """The lengths of some texts; what else a layer remembers of them is up to it.

    Args:
        batch: number of texts.
    """

    def __init__(self, batch: int) -> None:
        self.lengths = [0] * batch

    def places(self, new: int, device: torch.device) -> Tensor:
        """The positions [B, S] of some new tokens of each text."""
        return torch.tensor(self.lengths, device=device)[:, None] + torch.arange(new, device=device)

    def advance(self, tokens: int) -> None:
        """Each text has become so many tokens longer."""
        self.lengths = [length + tokens for length in self.lengths]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these texts, in this order; one may come several times."""
        self.lengths = [self.lengths[row] for row in rows]
        self._keep(list(rows))

    def put(self: Own, rows: Sequence[int], other: Own) -> None:
        """Take another memory's texts instead of those in some rows."""
        for row, length in zip(rows, other.lengths, strict=True):
            self.lengths[row] = length
        self._put(list(rows), other)

    @abstractmethod
    def _keep(self, rows: list[int]) -> None:
        """The same for what is remembered."""

    @abstractmethod
    def _put(self: Own, rows: list[int], other: Own) -> None:
        """The same for what is remembered."""
