"""Rounding with error feedback against the same done without any of its shortcuts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dslm.quantization.error_feedback import BLOCK, DAMPING, error_feedback
from dslm.quantization.rounding import level_range, steps_and_levels

GRIDS = [(8, None), (4, 32), (3, 16), (2, 32)]


def weight_and_hessian(width: int, seed: int = 0, tokens: int = 300) -> tuple[Tensor, Tensor]:
    """A weight [12, width], and the sum of x xᵀ over inputs that depend on each other."""
    draws = torch.Generator().manual_seed(seed)
    mixed = torch.randn(width, width, generator=draws) / width**0.5 + torch.eye(width)
    sizes = torch.rand(width, generator=draws) * 3
    inputs = torch.randn(tokens, width, generator=draws) @ mixed * sizes
    return torch.randn(12, width, generator=draws) * 0.02, inputs.T @ inputs


def damped(hessian: Tensor) -> Tensor:
    return hessian.double() + DAMPING * hessian.double().diagonal().mean() * torch.eye(len(hessian))


def error(weight: Tensor, steps: Tensor, levels: Tensor, hessian: Tensor) -> Tensor:
    """The squared error of what each output computes, summed over the inputs: [out]."""
    moved = ((levels * steps).view_as(weight) - weight).double()
    return ((moved @ hessian.double()) * moved).sum(1)


def one_by_one(weight: Tensor, hessian: Tensor, steps: Tensor, bits: int) -> Tensor:
    """The same by its definition: after each column, all that are left are solved for anew."""
    lowest, highest = level_range(bits)
    curvature, original = damped(hessian), weight.double()
    each = steps.double().expand(*steps.shape[:2], weight.shape[1] // steps.shape[1])
    each = each.reshape(weight.shape)
    order = hessian.diagonal().argsort(descending=True, stable=True).tolist()
    now, levels = original.clone(), torch.zeros_like(original)
    for count, column in enumerate(order, 1):
        levels[:, column] = (now[:, column] / each[:, column]).round().clamp(lowest, highest)
        done, rest = order[:count], order[count:]
        moved = levels[:, done] * each[:, done] - original[:, done]
        back = torch.linalg.solve(curvature[rest][:, rest], curvature[rest][:, done] @ moved.T)
        now[:, rest] = original[:, rest] - back.T
    return levels


@pytest.mark.parametrize(("bits", "group"), GRIDS)
def test_it_is_what_solving_for_the_columns_left_gives(bits: int, group: int | None) -> None:
    weight, hessian = weight_and_hessian(96)
    steps, _ = steps_and_levels(weight, bits, group, storable=True)
    found = error_feedback(weight, hessian, steps, bits).view_as(weight)
    expected = one_by_one(weight, hessian, steps, bits)
    # Where a number lies halfway between two levels, the last digit decides, for one row.
    same = (found == expected).all(1)
    assert same.sum() >= 11, "of 12 rows"


def test_the_columns_of_several_blocks_are_solved_for_as_one() -> None:
    weight, hessian = weight_and_hessian(BLOCK + 64)
    steps, _ = steps_and_levels(weight, 4, 32, storable=True)
    found = error_feedback(weight, hessian, steps, 4).view_as(weight)
    assert (found == one_by_one(weight, hessian, steps, 4)).all(1).sum() >= 10


@pytest.mark.parametrize(("bits", "group"), GRIDS)
@given(seed=st.integers(0, 99))
def test_what_a_layer_computes_changes_less_than_by_rounding_to_nearest(
    bits: int, group: int | None, seed: int
) -> None:
    weight, hessian = weight_and_hessian(64, seed)
    steps, nearest = steps_and_levels(weight, bits, group, storable=True)
    levels = error_feedback(weight, hessian, steps, bits)
    lowest, highest = level_range(bits)
    assert levels.shape == nearest.shape
    assert torch.equal(levels, levels.round().clamp(lowest, highest))
    ours, theirs = (error(weight, steps, each, hessian).sum() for each in (levels, nearest))
    assert ours < theirs


@given(seed=st.integers(0, 99))
def test_of_two_columns_the_second_is_the_best_there_is_for_the_first(seed: int) -> None:
    weight, hessian = weight_and_hessian(2, seed)
    steps, nearest = steps_and_levels(weight, 3, None, storable=True)
    levels = error_feedback(weight, hessian, steps, 3)
    first = int(hessian.diagonal().argmax())
    assert torch.equal(levels[..., first], nearest[..., first])
    choices = []
    for level in range(-4, 4):
        choice = levels.clone()
        choice[..., 1 - first] = level
        choices.append(error(weight, steps, choice, damped(hessian)))
    best = torch.stack(choices).amin(0)
    torch.testing.assert_close(error(weight, steps, levels, damped(hessian)), best)


@pytest.mark.parametrize("kind", ["diagonal", "zero", "a dead input"])
def test_without_anything_to_make_up_for_it_rounds_to_nearest(kind: str) -> None:
    weight, hessian = weight_and_hessian(64)
    steps, nearest = steps_and_levels(weight, 4, 32, storable=True)
    if kind == "a dead input":
        hessian[5], hessian[:, 5] = 0, 0
        found = error_feedback(weight, hessian, steps, 4).view_as(weight)
        assert torch.equal(found[:, 5], nearest.view_as(weight)[:, 5])
        assert not torch.equal(found, nearest.view_as(weight))
    else:
        only = torch.diag(hessian.diagonal()) if kind == "diagonal" else torch.zeros(64, 64)
        assert torch.equal(error_feedback(weight, only, steps, 4), nearest)


def test_neither_the_scale_of_the_inputs_nor_the_order_of_outputs_matters() -> None:
    weight, hessian = weight_and_hessian(64)
    steps, _ = steps_and_levels(weight, 4, 32, storable=True)
    found = error_feedback(weight, hessian, steps, 4)
    assert torch.equal(error_feedback(weight, hessian * 64, steps, 4), found)
    mirrored = error_feedback(weight.flip(0), hessian, steps.flip(0), 4)
    assert torch.equal(mirrored.flip(0), found)


def test_fewer_tokens_than_inputs_are_enough() -> None:
    weight, hessian = weight_and_hessian(96, tokens=10)
    steps, nearest = steps_and_levels(weight, 2, 32, storable=True)
    levels = error_feedback(weight, hessian, steps, 2)
    ours, theirs = (error(weight, steps, each, hessian).sum() for each in (levels, nearest))
    assert ours < theirs / 4
