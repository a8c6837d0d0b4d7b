from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from helpers.models import KINDS, LSTM, build, small

from dslm.model.check import check_model
from dslm.model.config import ModelConfig
from dslm.model.counts import flops_per_token, parameter_count
from dslm.run.presets import PRESETS


def weights(config: ModelConfig) -> int:
    return sum(weight.numel() for weight in build(config).parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_count_is_that_of_the_model(kind: str) -> None:
    config = small(**KINDS[kind])
    assert parameter_count(config) == weights(config)


def test_the_count_is_that_of_the_model_for_every_mixture_of_choices() -> None:
    choices = {
        "positions": ["learned", "rotary"],
        "norm": ["layer", "rms"],
        "norm_position": ["pre", "post"],
        "activation": ["relu2", "swiglu"],
        "qk_norm": [True, False],
        "bias": [True, False],
        "tied": [True, False],
        "key_value_heads": [None, 1],
    }
    for values in product(*choices.values()):
        config = small(**dict(zip(choices, values, strict=True)))
        assert parameter_count(config) == weights(config), config


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("gpt2_small", 124_439_808),
        ("gpt2_medium", 354_823_168),
        ("gpt2_large", 774_030_080),
        ("gpt2_xl", 1_557_611_200),
    ],
)
def test_gpt2_has_its_published_count(preset: str, published: int) -> None:
    assert parameter_count(ModelConfig(**PRESETS[preset]()["model"])) == published


@pytest.mark.parametrize(
    ("preset", "vocabulary", "published"),
    [("llama_1b", 128_256, 1_235_814_400), ("llama_7b", 32_000, 6_738_415_616)],
)
def test_llama_has_its_published_count(preset: str, vocabulary: int, published: int) -> None:
    config = ModelConfig(**PRESETS[preset]()["model"], vocabulary=vocabulary)
    assert parameter_count(config) == published


def test_the_operations_of_a_token_are_six_a_weight_and_attention() -> None:
    config = ModelConfig(**PRESETS["gpt2_small"]()["model"])
    attention = 12 * 12 * 768 * 1024
    assert flops_per_token(config) == 6 * (124_439_808 - 1024 * 768) + attention


def test_an_untied_input_embedding_multiplies_nothing() -> None:
    tied, untied = (flops_per_token(small(tied=tied)) for tied in (True, False))
    assert tied == untied


@pytest.mark.parametrize(
    ("width", "inner"), [(768, 2048), (4096, 10944), (32, 128), (24, 64), (25, 128)]
)
def test_swiglu_is_a_third_narrower_in_steps_of_64(width: int, inner: int) -> None:
    assert small(width=width, activation="swiglu").inner_width == inner


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"heads": 5}, "model.heads = 5: does not divide model.width = 32; use 4 or 8"),
        (
            {**LSTM, "qk_norm": True},
            "model.qk_norm = True: means nothing with model.block = 'lstm'; leave it out",
        ),
        (
            {**LSTM, "zero_output": True},
            "model.zero_output = True: means nothing with model.block = 'lstm'; leave it out",
        ),
        ({"heads": 64}, "model.heads = 64: does not divide model.width = 32; use 32"),
        (
            {"heads": 32, "positions": "rotary"},
            "model.heads = 32: gives heads of odd width 1, which rotary positions cannot turn; "
            "make model.width / model.heads even",
        ),
        (
            {"heads": 5, "head_width": 7, "positions": "rotary"},
            "model.head_width = 7: is odd, and rotary positions turn pairs; use 8",
        ),
        (
            {**LSTM, "head_width": 8},
            "model.head_width = 8: means nothing with model.block = 'lstm'; "
            "write model.head_width=null",
        ),
        (
            {"key_value_heads": 3},
            "model.key_value_heads = 3: does not divide model.heads = 4; use 2 or 4",
        ),
        (
            {"width": 33, "heads": 3, "positions": "sinusoidal"},
            "model.width = 33: must be even for sinusoidal positions; use 34",
        ),
    ],
)
def test_a_shape_that_cannot_be_built_is_reported(changes: dict[str, Any], line: str) -> None:
    assert [str(problem) for problem in check_model(small(**changes))] == [line]


@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "fine_tune"])
def test_every_preset_can_be_built(preset: str) -> None:
    assert check_model(ModelConfig(**PRESETS[preset]()["model"])) == []
