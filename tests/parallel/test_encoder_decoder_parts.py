"""What is said of the parts of an encoder–decoder, against its layers as DeepSpeed spreads them."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from deepspeed.runtime.utils import partition_balanced
from helpers.models import KEYS, build, small
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from dslm.model.block import Block
from dslm.model.counts import flops_per_token
from dslm.model.dropout import DROPOUT_KEYS
from dslm.model.stages import stages
from dslm.parallel.activations import PLAIN, Forward, activations
from dslm.parallel.partition import parts
from dslm.parallel.plan import Plan

SPREADS = [(1, 3, 2), (2, 2, 2), (3, 1, 2), (2, 4, 3), (3, 3, 3), (1, 3, 4), (2, 2, 1)]
"""Blocks of the encoder, of the decoder, and pipeline stages."""


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(
    "changes", [{}, {"positions": "relative", "tied": False}, {"head_width": 12}]
)
def test_stages_hold_what_deepspeed_gives_them(
    spread: tuple[int, int, int], changes: dict[str, object]
) -> None:
    encoder, decoder, count = spread
    config = small(encoder_layers=encoder, layers=decoder, norm_position="pre", **changes)
    layers = stages(config, 0)
    borders = partition_balanced([int(one.module is Block) for one in layers], count)
    for part, (start, stop) in zip(parts(config, count), pairwise(borders), strict=True):
        own = layers[start:stop]
        blocks = [one for one in own if one.module is Block]
        assert part.blocks == len(blocks)
        assert part.crossing == sum(one.config.encoder_layers > 0 for one in blocks)
        held: dict[object, int] = {}
        for one in own:
            module = one.build(drawn=False)
            held[one.tied or one.index] = sum(weight.numel() for weight in module.parameters())
        assert part.weights == sum(held.values())


@pytest.mark.parametrize(
    "changes", [{}, {"positions": "relative"}, {"dropout": 0.1}, {"head_width": 40}]
)
def test_activations_are_what_torch_keeps(changes: dict[str, object]) -> None:
    config = small(encoder_layers=3, layers=3, width=64, sequence=64, **changes)
    model = build(config, extras=("visibility", "targets", DROPOUT_KEYS))
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.zeros(2, 64, dtype=torch.int64)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model((ids, ids - 1, ids[:, :32], KEYS))
    seen = sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in weights)
    plan = Plan(1, 1, 0, micro_batch=2, accumulation=1, sequence=64)
    estimated = activations(config, plan, parts(config, 1)[0], 4, True, Forward(scored=0.5))
    assert estimated.kept == pytest.approx(seen, rel=0.2)
    assert activations(config, plan, parts(config, 1)[0], 4, True, PLAIN).kept > estimated.kept


@pytest.mark.parametrize("length", [4, 16])
@pytest.mark.parametrize("head_width", [None, 48])
def test_the_work_is_that_of_every_product(length: int, head_width: int | None) -> None:
    shape = {"encoder_layers": 2, "layers": 3, "width": 128, "bias": False}
    config = small(**shape, positions="none", head_width=head_width)
    model = build(config, extras=("targets",))
    ids = torch.zeros(1, 16, dtype=torch.int64)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model((ids, ids[:, :length]))
    counted = 3 * counter.get_total_flops() / 16  # the backward pass has twice the products
    assert flops_per_token(config, length / 16) == pytest.approx(counted, rel=0.01)
