"""Linear maps that the ranks of the tensor axis share (Shoeybi et al. 2019, "Megatron-LM").

Of the first map of a layer each rank computes some outputs (a column cut), of the second one what
its inputs contribute to all outputs (a row cut), which the ranks then add up. Between the two
nothing is exchanged: a rank has whole heads, and inner units with their gates. What comes before
the first map and behind the second one is the same on all ranks, and so are the weights there.

A model is built within `cut_among`; outside of it every map is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dslm.model.layers import Linear

Read = Callable[[int, int], Tensor]
"""The numbers of one tensor between two places, see `dslm.model.initial.Numbers`."""
AT_ONCE = 1 << 20
"""Numbers of whole rows that are read at a time, of which a piece keeps a part."""


@dataclass(frozen=True)
class TensorAxis:
    """The ranks that hold different parts of each matrix, and this one among them."""

    size: int = 1
    rank: int = 0
    group: Any = None
    """Their process group; needed for more than one."""


ALONE = TensorAxis()
_AXIS = ContextVar("tensor axis", default=ALONE)


def tensor_axis() -> TensorAxis:
    """The ranks that share what is being built."""
    return _AXIS.get()


@contextmanager
def cut_among(axis: TensorAxis) -> Iterator[None]:
    """Within it, layers are built that the ranks of an axis share."""
    token = _AXIS.set(axis)
    try:
        yield
    finally:
        _AXIS.reset(token)


@dataclass(frozen=True)
class Piece:
    """Which numbers of a whole weight a rank holds."""

    shape: tuple[int, ...]
    """Of the whole weight."""
    dim: int
    """Along which it is cut."""
    parts: tuple[int, ...]
    """How long what lies there side by side is: each is cut evenly, as queries, keys and values."""
    axis: TensorAxis

    def own(self, whole: Tensor) -> Tensor:
        """The rank's piece of the whole weight."""
        return self._cut(whole, self.dim)

    def _cut(self, whole: Tensor, dim: int) -> Tensor:
        parts = torch.split(whole, [*self.parts], dim)
        cut = (part.chunk(self.axis.size, dim)[self.axis.rank] for part in parts)
        return torch.cat([*cut], dim)

    def whole(self, own: Tensor) -> Tensor:
        """The whole weight, of the pieces of all ranks; all must call it."""
        own = own.contiguous()
        pieces = [torch.empty_like(own) for _ in range(self.axis.size)]
        torch.distributed.all_gather(pieces, own, group=self.axis.group)
        sizes = [part // self.axis.size for part in self.parts]
        cut = zip(*(torch.split(piece, sizes, self.dim) for piece in pieces), strict=True)
        return torch.cat([piece for part in cut for piece in part], self.dim)

    def read(self, read: Read, start: int, stop: int) -> Tensor:
        """Some numbers of the rank's piece, flattened, of those of the whole weight.

        Args:
            read: the numbers of the whole weight.
            start: the first place wanted, of the piece flattened.
            stop: the place behind the last one wanted.
        """
        found = [torch.empty(0)]
        if self.dim < len(self.shape) - 1 or len(self.shape) == 1:
            for first, count, before in self._runs():
                begin, end = max(start - before, 0), min(stop - before, count)
                if begin < end:
                    found.append(read(first + begin, first + end))
            return torch.cat(found)
        length = self.shape[-1]
        width = length // self.axis.size
        rows, step = range(start // width, -(-stop // width)), max(1, AT_ONCE // length)
        for row in rows[::step]:
            some = read(row * length, min(row + step, rows.stop) * length).view(-1, length)
            found.append(self._cut(some, 1).flatten())
        before = rows.start * width
        return torch.cat(found)[start - before : stop - before]

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """Where the piece lies in the whole weight, flattened: first, count and those before."""
        row, offset, before = prod(self.shape[self.dim + 1 :]), 0, 0
        for part in self.parts * prod(self.shape[: self.dim]):
            count = part // self.axis.size * row
            yield offset + self.axis.rank * count, count, before
            offset, before = offset + part * row, before + count


def piece_of(weight: Tensor) -> Piece | None:
    """Which part a weight is of a whole one; `None` if it is whole."""
    found: Piece | None = getattr(weight, "piece", None)
    return found


def mark_piece(weight: Tensor, piece: Piece) -> None:
    """Remember which part a weight is, for those who fill and gather it, and for DeepSpeed."""
    if piece.axis.size > 1:
        weight.piece = piece  # type: ignore[attr-defined]
        weight.model_parallel = True  # type: ignore[attr-defined]


class ColumnLinear(Linear):
    """A linear map of whose outputs each rank computes some.

    Args:
        inputs: numbers that all ranks have.
        parts: outputs of the maps that lie one under the other, each of which is cut evenly.
        bias: whether it has one, of which a rank has its part.
        deviation: as of `Linear`.
    """

    def __init__(self, inputs: int, parts: Sequence[int], bias: bool, deviation: float) -> None:
        self.axis = tensor_axis()
        self.widths = [part // self.axis.size for part in parts]
        """Outputs of each part on this rank."""
        super().__init__(inputs, sum(self.widths), bias, deviation)
        mark_piece(self.weight, Piece((sum(parts), inputs), 0, tuple(parts), self.axis))
        if bias:
            mark_piece(self.bias, Piece((sum(parts),), 0, tuple(parts), self.axis))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map […, in] to […, this rank's part of out]."""
        return super().forward(enter(inputs, self.axis))


class RowLinear(Linear):
    """A linear map of whose inputs each rank has some; the arguments are those of `Linear`."""

    def __init__(self, inputs: int, outputs: int, bias: bool, deviation: float) -> None:
        self.axis = tensor_axis()
        super().__init__(inputs // self.axis.size, outputs, bias, deviation)
        mark_piece(self.weight, Piece((outputs, inputs), 1, (inputs,), self.axis))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map […, this rank's part of in] to […, out]."""
        if self.axis.size == 1:
            return super().forward(inputs)
        outputs = leave(F.linear(inputs, self.weight), self.axis)
        return outputs if self.bias is None else outputs + self.bias


def own_columns(table: Tensor, axis: TensorAxis) -> Tensor:
    """This rank's columns of a table that all ranks have, and from which all learn."""
    if axis.size == 1:
        return table
    return enter(table, axis).chunk(axis.size, dim=-1)[axis.rank]


def enter(value: Tensor, axis: TensorAxis) -> Tensor:
    """What all ranks have, where each goes on by itself: its gradient is the sum of theirs."""
    if axis.size == 1:
        return value
    entered: Tensor = _Enter.apply(value, axis.group)  # type: ignore[no-untyped-call]
    return entered


def leave(partial: Tensor, axis: TensorAxis) -> Tensor:
    """The sum of what each rank has, on all of them: each has the gradient of the sum."""
    if axis.size == 1:
        return partial
    total: Tensor = _Leave.apply(partial, axis.group)  # type: ignore[no-untyped-call]
    return total


class _Enter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, group: Any) -> Tensor:
        ctx.group = group
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return _sum(gradients[0], ctx.group), None


class _Leave(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, partial: Tensor, group: Any) -> Tensor:
        return _sum(partial, group)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return gradients[0], None


def _sum(value: Tensor, group: Any) -> Tensor:
    total = value.clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(total, group=group)
    return total
