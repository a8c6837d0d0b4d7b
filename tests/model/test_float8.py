"""Linear maps in 8-bit floats compute what torchao's own do; nothing else of a model changes."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from helpers.models import LLAMA, LSTM, TOKENS, build, small
from torch import nn
from torchao.float8 import Float8LinearConfig, convert_to_float8_training
from torchao.float8.float8_linear_utils import _auto_filter_for_recipe

from dslm.model.float8 import Float8Config, block_maps, check_float8, split
from dslm.model.float8_linear import Float8Product, use_float8
from dslm.model.layers import Linear

WIDE: dict[str, Any] = {"width": 64, "heads": 4, "vocabulary": 64}
RECIPES: Any = ["tensorwise", "rowwise"]
IN_BLOCKS = ("project", "output", "enter", "leave")


def in_float8(model: nn.Module) -> set[str]:
    return {name for name, layer in model.named_modules() if getattr(layer, "product", None)}


def computed(model: nn.Module) -> list[torch.Tensor]:
    """The scores of a model, and the gradients of all its weights."""
    model.zero_grad()
    scores = model(TOKENS)
    (scores.float() * torch.linspace(-1, 1, scores.shape[-1])).sum().backward()
    return [scores, *(weight.grad for weight in model.parameters() if weight.grad is not None)]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("shape", [{}, LLAMA], ids=["gpt2", "llama"])
def test_outputs_and_gradients_are_those_of_torchao(recipe: Any, shape: dict[str, Any]) -> None:
    own = build(small(**WIDE, **shape)).bfloat16()
    theirs, plain = copy.deepcopy(own), copy.deepcopy(own)
    use_float8(own, Float8Config(recipe=recipe, narrowest=16))
    convert_to_float8_training(
        theirs,
        module_filter_fn=lambda _, name: name.endswith(IN_BLOCKS),
        config=replace(Float8LinearConfig.from_recipe_name(recipe), emulate=True),
    )
    found, wanted, floats = computed(own), computed(theirs), computed(plain)
    assert len(in_float8(own)) == 8
    assert len(found) == len(list(own.parameters())) + 1
    for one, other, whole in zip(found, wanted, floats, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == whole.dtype == torch.bfloat16
    assert not torch.equal(found[0], floats[0])


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_is_wide_enough_is_what_torchao_would_choose(recipe: Any) -> None:
    chosen = _auto_filter_for_recipe(recipe, [])
    sizes = (768, 1024, 1040, 2048, 2064, 4096, 4112, 4100)
    for inputs in sizes:
        for outputs in sizes:
            layer = nn.Linear(inputs, outputs, bias=False, device="meta")
            assert Float8Config(recipe=recipe).takes(inputs, outputs) == chosen(layer, "")


@pytest.mark.parametrize(
    "shape",
    [
        {},
        LLAMA,
        {"head_width": 32},
        {**LLAMA, "feed_forward": 200},
        {"tied": False, "transform": True},
        LSTM,
    ],
)
def test_the_screen_counts_the_maps_that_a_model_has(shape: dict[str, Any]) -> None:
    config = Float8Config(narrowest=65)
    model_config = small(**{**WIDE, **shape})
    model = build(model_config)
    names = list(model.state_dict())
    use_float8(model, config)
    maps = {
        name.split(".", 2)[2]: (layer.in_features, layer.out_features)
        for name, layer in model.named_modules()
        if isinstance(layer, Linear) and name.endswith(IN_BLOCKS)
    }
    assert maps == block_maps(model_config)
    assert {name.split(".", 2)[2] for name in in_float8(model)} == set(
        split(config, model_config)[0]
    )
    assert list(model.state_dict()) == names


def test_rows_that_are_no_multiple_of_sixteen_are_padded_for_a_gpu_alone() -> None:
    pads = {
        (emulate, rows): Float8Product("tensorwise", emulate)
        .products(torch.empty(2, rows, 64))
        .grad_weight.pad_inner_dim
        for emulate in (True, False)
        for rows in (5, 8)
    }
    assert pads == {(True, 5): False, (True, 8): False, (False, 5): True, (False, 8): False}


@pytest.mark.parametrize(
    ("config", "shape", "used", "where", "words"),
    [
        (Float8Config(recipe="rowwise"), {}, False, "float8.recipe", "precision=fp8"),
        (Float8Config(narrowest=16), {}, False, "float8.narrowest", "precision=fp8"),
        (Float8Config(), {}, True, "precision", "(64 → 192, 64 → 64, 64 → 256, 256 → 64)"),
        (Float8Config(narrowest=16), {"width": 60}, True, "precision", "multiples of 16"),
        (Float8Config(), LSTM, True, "precision", "recurrent"),
    ],
)
def test_what_cannot_be_is_said(
    config: Float8Config, shape: dict[str, Any], used: bool, where: str, words: str
) -> None:
    (problem,) = check_float8(config, small(**{**WIDE, **shape}), used)
    assert problem.where == where
    assert words in str(problem)
    assert problem.fix
