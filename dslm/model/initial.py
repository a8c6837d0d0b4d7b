"""How weights begin: every number a function of its place, so that any part can be had alone.

A weight is drawn in blocks, each from a generator of its own, seeded by (seed, layer, name, block).
A rank that keeps a part of a weight draws the blocks that this part touches and no others. Draws
are made on the CPU in float32, so that they depend on neither layout nor device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor

BLOCK = 1 << 14
"""Numbers drawn at once; a rank draws at most two blocks of each weight more than it keeps."""

Numbers = Callable[[str, int, int], Tensor]
"""From a weight's name ``INDEX.…`` (or ``NAME#MOMENT``) and two places to the numbers from the
first to before the second, of the weight flattened: one dimension, float32, on the CPU."""


class Initial(Protocol):
    """What a weight begins with."""

    def block(self, shape: Sequence[int]) -> int:
        """How many numbers of a weight are made at once."""

    def make(self, size: int, shape: Sequence[int], seed: int, first: int) -> Tensor:
        """The `size` numbers from place `first`, where a block begins, on."""


@dataclass(frozen=True)
class Normal:
    """Draws from N(0, `deviation`²)."""

    deviation: float

    def block(self, shape: Sequence[int]) -> int:
        """See `Initial`."""
        return BLOCK

    def make(self, size: int, shape: Sequence[int], seed: int, first: int) -> Tensor:
        """See `Initial`."""
        generator = torch.Generator().manual_seed(seed)
        return torch.normal(0.0, self.deviation, (size,), generator=generator, device="cpu")


@dataclass(frozen=True)
class Uniform:
    """Draws from [-`bound`, `bound`)."""

    bound: float

    def block(self, shape: Sequence[int]) -> int:
        """See `Initial`."""
        return BLOCK

    def make(self, size: int, shape: Sequence[int], seed: int, first: int) -> Tensor:
        """See `Initial`."""
        generator = torch.Generator().manual_seed(seed)
        return (2 * torch.rand(size, generator=generator, device="cpu") - 1) * self.bound


@dataclass(frozen=True)
class Orthogonal:
    """Square matrices one under the other, each orthogonal and equally likely (Mezzadri 2007)."""

    def block(self, shape: Sequence[int]) -> int:
        """One matrix, see `Initial`."""
        return shape[1] ** 2

    def make(self, size: int, shape: Sequence[int], seed: int, first: int) -> Tensor:
        """See `Initial`."""
        generator = torch.Generator().manual_seed(seed)
        square = (shape[1], shape[1])
        normal = torch.normal(0.0, 1.0, square, generator=generator, device="cpu")
        orthogonal, triangle = torch.linalg.qr(normal)
        turned: Tensor = orthogonal * triangle.diagonal().sign()
        return turned.flatten()


@dataclass(frozen=True)
class Steps:
    """Equally long pieces, each of one value; nothing is drawn."""

    values: tuple[float, ...]

    def block(self, shape: Sequence[int]) -> int:
        """One piece, see `Initial`."""
        return prod(shape) // len(self.values)

    def make(self, size: int, shape: Sequence[int], seed: int, first: int) -> Tensor:
        """See `Initial`."""
        return torch.full((size,), self.values[first // self.block(shape)], device="cpu")


ZEROS, ONES = Steps((0.0,)), Steps((1.0,))


def numbers(
    initial: Initial, shape: Sequence[int], seed: Callable[[int], int], start: int, stop: int
) -> Tensor:
    """A part of a weight as it begins.

    Args:
        initial: what the weight begins with.
        shape: of the whole weight.
        seed: from the number of a block to its seed.
        start: the first place wanted, of the weight flattened.
        stop: the place behind the last one wanted.

    Returns:
        [stop - start] float32 on the CPU.
    """
    total, size = prod(shape), max(1, initial.block(shape))
    parts = [torch.empty(0, device="cpu")]
    for number in range(start // size, -(-stop // size)):
        first = number * size
        made = initial.make(min(size, total - first), shape, seed(number), first)
        parts.append(made[max(start - first, 0) : stop - first])
    return torch.cat(parts)


_DRAWING = ContextVar("drawing", default=True)


@contextmanager
def undrawn() -> Iterator[None]:
    """Within it, weights for which `begin` is called hold zeros, to be filled later."""
    token = _DRAWING.set(False)
    try:
        yield
    finally:
        _DRAWING.reset(token)


@torch.no_grad()
def begin(weight: Tensor, initial: Initial) -> None:
    """Let a weight begin with something, and remember what for those who fill parts of it."""
    mark(weight, initial)
    if not _DRAWING.get():
        weight.zero_()
    elif not weight.is_meta:  # which has a shape without values
        base = int(torch.randint(2**62, (), device="cpu"))
        made = numbers(initial, weight.shape, lambda block: base + block, 0, weight.numel())
        weight.copy_(made.view(weight.shape))


def mark(weight: Tensor, initial: Initial) -> None:
    """Remember what a weight begins with that torch fills by itself."""
    weight.initial = initial  # type: ignore[attr-defined]


def initial_of(weight: Tensor) -> Initial | None:
    """What `begin` or `mark` let a weight begin with, if they did."""
    found: Initial | None = getattr(weight, "initial", None)
    return found
