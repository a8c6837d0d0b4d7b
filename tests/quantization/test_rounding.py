"""The grid is the field's, and rounding leaves the gradient alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dslm.quantization.config import SCHEMES, Scheme
from dslm.quantization.rounding import Quantizer, SettledQuantizer, rounded, steps_and_levels

GRIDS = [(8, None), (4, 32), (3, 32), (2, 32), (4, 16)]


def drawn(seed: int = 0, scale: float = 0.02) -> torch.Tensor:
    return torch.randn(24, 96, generator=torch.Generator().manual_seed(seed)) * scale


@pytest.mark.parametrize(("bits", "group"), GRIDS)
def test_the_grid_is_that_of_torchao(bits: int, group: int | None) -> None:
    from torchao.quantization.qat import IntxFakeQuantizeConfig
    from torchao.quantization.qat.fake_quantizer import IntxFakeQuantizer

    kind = {8: torch.int8, 4: torch.int4, 3: torch.int3, 2: torch.int2}[bits]
    how = {"group_size": group} if group else {"granularity": "per_channel"}
    known = IntxFakeQuantizer(IntxFakeQuantizeConfig(kind, is_symmetric=True, **how))
    steps, levels = steps_and_levels(drawn(), bits, group, storable=False)
    theirs = (known(drawn()).view(levels.shape) / steps).round()
    # The largest of a group lies halfway between two levels, where the last digit decides.
    halfway = ((drawn().view(levels.shape) / steps).frac().abs() - 0.5).abs() < 1e-5
    assert torch.equal(levels[~halfway], theirs[~halfway])
    assert (levels - theirs).abs().max() <= 1
    assert halfway.sum() < 2 * steps.numel()


@pytest.mark.parametrize(("bits", "group"), GRIDS)
@given(seed=st.integers(0, 9), scale=st.sampled_from([1e-3, 0.02, 1.0, 50.0]))
def test_a_number_moves_by_half_a_step_at_most(
    bits: int, group: int | None, seed: int, scale: float
) -> None:
    numbers = drawn(seed, scale)
    steps, levels = steps_and_levels(numbers, bits, group, storable=True)
    assert levels.min() >= -(2 ** (bits - 1))
    assert levels.max() <= 2 ** (bits - 1) - 1
    moved = (rounded(numbers, bits, group, storable=True) - numbers).abs().view(levels.shape)
    # The largest number of a group may lie half a step beyond the last level, and the step itself
    # has been rounded by 1 / 256 of its size.
    assert (moved <= steps * (0.5 + 2 ** (bits - 1) / 256 + 1e-5)).all()


@pytest.mark.parametrize(("bits", "group"), GRIDS)
def test_16_bits_hold_the_steps_of_weights(bits: int, group: int | None) -> None:
    steps, _ = steps_and_levels(drawn(), bits, group, storable=True)
    assert torch.equal(steps, steps.bfloat16().float())
    assert torch.equal(steps, steps.half().float())


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_zeros_stay_and_kinds_are_kept(kind: torch.dtype) -> None:
    numbers = torch.zeros(3, 32, dtype=kind)
    assert torch.equal(rounded(numbers, 4, 32, storable=True), numbers)


def test_the_gradient_goes_straight_through() -> None:
    numbers = drawn().requires_grad_()
    weights = drawn(1)
    (rounded(numbers, 2, 32, storable=True) * weights).sum().backward()
    assert torch.equal(numbers.grad, weights)


def test_each_token_has_a_step_of_its_own() -> None:
    quantizer = Quantizer(SCHEMES["w8a8"])
    inputs = torch.stack([drawn(1)[0], drawn(2)[0] * 1000])[None]
    together = quantizer.inputs(inputs)
    apart = [quantizer.inputs(inputs[:, token : token + 1]) for token in range(2)]
    assert torch.equal(together, torch.cat(apart, dim=1))
    assert not torch.equal(together, inputs)


def test_what_is_switched_off_rounds_nothing() -> None:
    quantizer = Quantizer(SCHEMES["w4a8"])
    quantizer.on = False
    numbers = drawn()
    assert quantizer.weight(numbers) is numbers
    assert quantizer.inputs(numbers) is numbers


def test_how_far_weights_are_moved_is_added_up_when_asked() -> None:
    quantizer, weight = Quantizer(SCHEMES["w2"]), drawn()
    quantizer.weight(weight)
    assert torch.equal(quantizer.pop_sums(), torch.zeros(2))
    quantizer.collect = True
    moved = quantizer.weight(weight) - weight
    with quantizer.paused():
        assert quantizer.weight(weight) is weight
    quantizer.weight(weight)
    expected = torch.stack([moved.square().sum(), weight.square().sum()])
    torch.testing.assert_close(quantizer.pop_sums(), 2 * expected)
    assert torch.equal(quantizer.pop_sums(), torch.zeros(2))


@pytest.mark.parametrize(("bits", "group"), GRIDS)
@given(seed=st.integers(0, 9))
def test_a_weight_on_its_grid_keeps_steps_and_levels(
    bits: int, group: int | None, seed: int
) -> None:
    scheme, weight = Scheme(bits, None, group), drawn(seed)
    steps, levels = Quantizer(scheme).grid(weight)
    levels = (levels / 2).trunc()  # far from the largest, from which other steps would follow
    settled, placed = SettledQuantizer(scheme, steps), (levels * steps).view_as(weight)
    assert settled.weight(placed) is placed
    kept, found = settled.grid(placed)
    assert torch.equal(kept, steps)
    assert torch.equal(found, levels)
    assert not torch.equal(Quantizer(scheme).grid(placed)[0], steps)
