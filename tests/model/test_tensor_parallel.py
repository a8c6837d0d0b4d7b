"""What a rank of the tensor axis holds of a weight, and what it computes."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from dslm.model.attention import Attention
from dslm.model.block import Block, FeedForward
from dslm.model.config import ModelConfig
from dslm.model.counts import block_count, cross_count
from dslm.model.cross_attention import CrossAttention
from dslm.model.tensor_parallel import (
    AT_ONCE,
    ColumnLinear,
    Piece,
    RowLinear,
    TensorAxis,
    cut_among,
    piece_of,
)

CONFIG = ModelConfig(layers=2, heads=8, width=16, sequence=8, vocabulary=11, key_value_heads=4)


def counts(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


@given(data=some.data(), size=some.integers(1, 4))
def test_a_piece_is_read_place_by_place_as_it_is_cut(data: some.DataObject, size: int) -> None:
    """Any range of a piece, flattened, is what it would be of the whole weight at once."""
    small = some.integers(1, 4)
    parts = tuple(size * n for n in data.draw(some.lists(small, min_size=1, max_size=3)))
    before, behind = (data.draw(some.lists(small, max_size=2)) for _ in range(2))
    shape, dim = (*before, sum(parts), *behind), len(before)
    whole = torch.arange(prod(shape)).float().view(shape)
    pieces = [Piece(shape, dim, parts, TensorAxis(size, rank)) for rank in range(size)]
    for piece in pieces:
        own = piece.own(whole).flatten()
        start = data.draw(some.integers(0, own.numel()))
        stop = data.draw(some.integers(start, own.numel()))
        read = piece.read(lambda first, last: whole.flatten()[first:last], start, stop)
        assert torch.equal(read, own[start:stop])
    assert sum(piece.own(whole).numel() for piece in pieces) == whole.numel()


def test_a_row_cut_is_read_some_rows_at_a_time() -> None:
    rows, asked = 5 * AT_ONCE // 64, list[int]()
    piece = Piece((rows, 64), 1, (64,), TensorAxis(2, 1))

    def read(first: int, last: int) -> Tensor:
        asked.append(last - first)
        return torch.arange(first, last)

    found = piece.read(read, 0, rows * 32)
    assert max(asked) == AT_ONCE
    assert torch.equal(found.view(rows, 32)[:, 0], torch.arange(rows) * 64 + 32)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
def test_what_a_rank_holds_of_a_block_is_counted(size: int, bias: bool, activation: str) -> None:
    shape = replace(CONFIG, bias=bias, activation=activation)
    for config in (replace(shape, encoder_layers=1), replace(shape, experts=4)):
        with torch.device("meta"), cut_among(TensorAxis(size)):
            block = Block(config)
        share = config.shared(size)
        assert counts(block) == block_count(share) + cross_count(share)


def test_only_matrices_and_the_biases_of_outputs_are_cut() -> None:
    with torch.device("meta"), cut_among(TensorAxis(2)):
        block = Block(CONFIG)
    whole = dict(Block(CONFIG).named_parameters())
    cut = {name for name, weight in block.named_parameters() if piece_of(weight) is not None}
    assert cut == {
        *("attention.project.weight", "attention.project.bias", "attention.output.weight"),
        *("feed_forward.enter.weight", "feed_forward.enter.bias", "feed_forward.leave.weight"),
    }
    for name, weight in block.named_parameters():
        piece = piece_of(weight)
        assert (weight.shape if piece is None else piece.shape) == whole[name].shape
        assert (piece is not None) == hasattr(weight, "model_parallel")


def test_outside_of_an_axis_every_map_is_whole() -> None:
    with cut_among(TensorAxis(2)):
        pass
    for module in (Attention(CONFIG), FeedForward(CONFIG), CrossAttention(CONFIG)):
        assert all(piece_of(weight) is None for weight in module.parameters())


def test_the_parts_that_ranks_compute_add_up() -> None:
    """Of a column and a row cut in turn; the sum over the ranks is made here."""
    first, second = ColumnLinear(6, [12], True, 0.5), RowLinear(12, 6, False, 0.5)
    inputs = torch.randn(3, 6)
    expected = second(first(inputs))
    found = torch.zeros(3, 6)
    for rank in range(2):
        with cut_among(TensorAxis(2, rank)):
            own = ColumnLinear(6, [12], True, 0.5), RowLinear(12, 6, False, 0.5)
        for part, whole in zip(own, (first, second), strict=True):
            for name, weight in part.named_parameters():
                piece = piece_of(weight)
                assert piece is not None
                weight.data.copy_(piece.own(whole.get_parameter(name).data))
        hidden = torch.nn.functional.linear(inputs, own[0].weight, own[0].bias)
        found += torch.nn.functional.linear(hidden, own[1].weight)
    assert torch.allclose(found, expected, atol=1e-6)
