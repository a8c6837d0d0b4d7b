"""Weights begin the same however they are cut, and as the papers that each follows say."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from helpers.models import KINDS, RECURRENT, build, small
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dslm.model.initial import BLOCK, ZEROS, Normal, Orthogonal, Steps, Uniform, initial_of, numbers
from dslm.model.stages import drawn, stages

BERT: dict[str, Any] = {"attention": "full", "transform": True, "pair_head": True, "segments": 2}
CODED: dict[str, Any] = {"attention": "full", "bottleneck_length": 4, "decoder_layers": 1}
EVERY: dict[str, dict[str, Any]] = {**KINDS, **RECURRENT, "bert": BERT, "coded": CODED}
SHAPES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "normal": (Normal(0.02), (37, 1000)),
    "uniform": (Uniform(0.1), (3 * BLOCK,)),
    "orthogonal": (Orthogonal(), (4 * 24, 24)),
    "steps": (Steps((0.0, 1.0, 0.0, 0.0)), (4 * 30,)),
    "zeros": (ZEROS, (7, 5)),
}


@pytest.mark.parametrize("kind", EVERY)
def test_any_part_of_any_weight_is_that_of_the_whole_model(kind: str) -> None:
    config = small(**EVERY[kind])
    read = drawn(stages(config, seed=3))
    for name, weight in build(config, seed=3).layers.named_parameters():
        cuts = sorted([0, 1, weight.numel() // 3, weight.numel()])
        parts = [read(name, start, stop) for start, stop in pairwise(cuts)]
        assert torch.equal(torch.cat(parts), weight.detach().flatten()), name


@pytest.mark.parametrize("kind", EVERY)
def test_every_weight_says_what_it_begins_with_and_waits_as_zeros(kind: str) -> None:
    for stage in stages(small(**EVERY[kind]), seed=3):
        for name, weight in stage.build(drawn=False).named_parameters():
            assert initial_of(weight) is not None, name
            assert not weight.any() or weight.dim() == 1, name  # torch's own norms hold ones


@pytest.mark.parametrize("more", [{}, {"encoder_layers": 2}])
def test_what_is_added_to_the_residual_stream_may_begin_at_zero(more: dict[str, Any]) -> None:
    plain, zero = (build(small(**more, zero_output=on), seed=3) for on in (False, True))
    others = dict(plain.named_parameters())
    ends = ("attention.output.weight", "feed_forward.leave.weight")
    changed = [name for name, weight in zero.named_parameters() if not weight.equal(others[name])]
    assert changed == [name for name in others if name.endswith(ends)]
    assert not any(dict(zero.named_parameters())[name].any() for name in changed)
    assert len(changed) == (10 if more else 4)


@pytest.mark.parametrize("kind", SHAPES)
@given(data=st.data())
def test_parts_are_those_of_the_whole(kind: str, data: st.DataObject) -> None:
    initial, shape = SHAPES[kind]
    total = torch.Size(shape).numel()
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, total)] * 2)))
    whole = numbers(initial, shape, lambda block: 7 + block, 0, total)
    part = numbers(initial, shape, lambda block: 7 + block, start, stop)
    assert whole.shape == (total,)
    assert torch.equal(part, whole[start:stop])


def test_a_part_draws_no_block_that_it_does_not_touch() -> None:
    blocks: list[int] = []
    numbers(Normal(1.0), (10 * BLOCK,), lambda b: blocks.append(b) or b, 2 * BLOCK, 4 * BLOCK + 1)
    assert blocks == [2, 3, 4]


def test_no_block_repeats_another() -> None:
    whole = numbers(Normal(1.0), (8, BLOCK), lambda block: block, 0, 8 * BLOCK).view(8, BLOCK)
    assert torch.corrcoef(whole).fill_diagonal_(0).abs().max() < 0.05
    assert whole.std() == pytest.approx(1, abs=0.01)


class Foreign(nn.Module):
    """A layer that fills its weights by itself, as somebody else's may."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(6, config.width))
        nn.init.normal_(self.weight)


def test_a_module_that_draws_by_itself_is_drawn_under_the_seed_too() -> None:
    first, *_ = stages(small(), seed=3)
    layer = type(first)(Foreign, first.config, 3, 0)
    weight = layer.build().get_parameter("weight")
    assert torch.equal(drawn([layer])("0.weight", 5, 40), weight.detach().flatten()[5:40])
