"""Numbers rounded to a grid of few levels, as training sees what will be stored.

The grid is symmetric around zero: levels -2^(b-1) … 2^(b-1)-1 times a step, which is the largest
magnitude that shares it over (2^b - 1) / 2, as in compressed-tensors. The steps of weights have 8
significant bits, so that float32, bfloat16 and float16 hold them alike and a file of 16-bit steps
loses nothing.

In the backward pass the gradient goes straight through (Bengio et al. 2013): also where a number
was clipped, which is by half a step at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from dslm.quantization.config import Scheme


class Quantizer:
    """What the layers of a model round to; one object is shared by all of them.

    Args:
        scheme: bits and groups.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.on = True
        """Whether anything is rounded."""
        self.collect = False
        """Whether to add up how far weights are moved."""
        self._sums: list[Tensor] = []

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within, nothing is rounded."""
        before, self.on = self.on, False
        try:
            yield
        finally:
            self.on = before

    def weight(self, weight: Tensor) -> Tensor:
        """The weight [out, in] as it will be stored, each output's inputs in groups."""
        if not self.on:
            return weight
        made = rounded(weight, self.scheme.weights, self.scheme.group, storable=True)
        if self.collect:
            with torch.no_grad():
                found = weight.float()
                sums = [(made - found).square().sum(), found.square().sum()]
            self._sums.append(torch.stack(sums))
        return made

    def grid(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Steps and levels of a weight [out, in] as they will be stored; see `steps_and_levels`."""
        return steps_and_levels(weight, self.scheme.weights, self.scheme.group, storable=True)

    def pop_sums(self) -> Tensor:
        """The squares of what was moved and of all weights, summed since the last call: [2]."""
        sums, self._sums = self._sums, []
        return torch.stack(sums).sum(0) if sums else torch.zeros(2)

    def inputs(self, inputs: Tensor) -> Tensor:
        """Inputs […, in] as the product will read them, with a step for each token."""
        bits = self.scheme.activations
        if not self.on or bits is None:
            return inputs
        return rounded(inputs, bits, None, storable=False)


class InputQuantizer(Quantizer):
    """That of a layer whose weight lies on its grid already."""

    def weight(self, weight: Tensor) -> Tensor:
        """The weight as it is."""
        return weight


class SettledQuantizer(InputQuantizer):
    """That of a layer whose weight lies on its grid already, and which may be stored.

    The grid is kept, because that of the largest magnitudes of rounded numbers may be another.

    Args:
        scheme: bits and groups.
        steps: [out, groups, 1], those of the weight.
    """

    def __init__(self, scheme: Scheme, steps: Tensor) -> None:
        super().__init__(scheme)
        self.steps = steps

    def grid(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The steps that are kept, and the weight's levels on them."""
        levels = weight.detach().float().reshape(*self.steps.shape[:-1], -1) / self.steps
        return self.steps, levels.round_()


def rounded(numbers: Tensor, bits: int, group: int | None, storable: bool) -> Tensor:
    """Numbers […, n] rounded to their grid, see `steps_and_levels`; the gradient goes through."""
    made: Tensor = _Rounded.apply(numbers, bits, group, storable)  # type: ignore[no-untyped-call]
    return made


def steps_and_levels(
    numbers: Tensor, bits: int, group: int | None, storable: bool
) -> tuple[Tensor, Tensor]:
    """The grid of some numbers and their places on it.

    Args:
        numbers: […, n].
        bits: of a level.
        group: how many neighbours share a step, a divisor of n; `None` = all n.
        storable: whether a step has 8 significant bits.

    Returns:
        Steps […, n / group, 1] and levels […, n / group, group], whole numbers, both in float32.
    """
    count = numbers.shape[-1]
    last = group or count
    grouped = numbers.detach().float().reshape(*numbers.shape[:-1], count // last, last)
    lowest, highest = level_range(bits)
    steps = grouped.abs().amax(-1, keepdim=True).div_((highest - lowest) / 2)
    if storable:
        steps = steps.bfloat16().float()
    steps = steps.masked_fill_(steps == 0, 1.0)
    return steps, (grouped / steps).round_().clamp_(lowest, highest)


def level_range(bits: int) -> tuple[int, int]:
    """The lowest and the highest level."""
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


class _Rounded(torch.autograd.Function):
    """Rounded to the grid, the gradient as if nothing had been done."""

    @staticmethod
    def forward(_: Any, numbers: Tensor, bits: int, group: int | None, storable: bool) -> Tensor:
        steps, levels = steps_and_levels(numbers, bits, group, storable)
        return levels.mul_(steps).view(numbers.shape).to(numbers.dtype)

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0], None, None, None
