"""config.json as it is published, read and written."""

from __future__ import annotations

from typing import Any

import pytest

from dslm.errors import ConfigError
from dslm.hub.registry import FAMILIES, family_of_model, family_of_settings
from dslm.hub.settings import read_settings, write_settings
from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.run.presets import gpt2_xl, llama_1b, llama_7b

SMALL_GPT2 = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
TINY_LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "max_position_embeddings": 2048,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 22,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "vocab_size": 32000,
}
SMOL_LM = {
    **TINY_LLAMA,
    "attention_bias": False,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "rope_theta": 10000,
    "tie_word_embeddings": True,
    "vocab_size": 49152,
}
PUBLISHED = {
    "GPT-2": (SMALL_GPT2, 124_439_808),
    "TinyLlama 1.1B": (TINY_LLAMA, 1_100_048_384),
    "SmolLM 135M": (SMOL_LM, 134_515_008),
}


def read(settings: dict[str, Any]) -> ModelConfig:
    return read_settings(family_of_settings(settings, "c"), settings, "c")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_has_the_size_it_is_published_with(name: str) -> None:
    settings, size = PUBLISHED[name]
    assert parameter_count(read(settings)) == size


@pytest.mark.parametrize("preset", [gpt2_xl, llama_1b, llama_7b])
def test_what_is_written_is_read_as_the_same_shape(preset: Any) -> None:
    config = ModelConfig(**{"vocabulary": 1000, **preset()["model"]})
    again = read(write_settings(family_of_model(config), config))
    filled = {"feed_forward": config.inner_width, "key_value_heads": config.query_groups}
    for key in ModelConfig.__dataclass_fields__:
        assert getattr(again, key) in (getattr(config, key), filled.get(key))


def test_everything_that_is_missing_is_reported() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"architectures": ["LlamaForCausalLM"]})
    missing = {problem.where.removeprefix("c: ") for problem in caught.value.problems}
    assert missing == {
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
    }


def test_three_dropouts_that_differ_are_reported_with_both_values() -> None:
    with pytest.raises(ConfigError, match=r"embd_pdrop = 0\.2: differs from resid_pdrop = 0\.1"):
        read({**SMALL_GPT2, "embd_pdrop": 0.2})


def test_every_key_of_a_family_is_one_of_ours() -> None:
    for family in FAMILIES:
        named = {key.ours for key in family.keys} | family.ours.keys()
        assert named <= ModelConfig.__dataclass_fields__.keys()
        assert set(family.widths.values()) <= {*ModelConfig.__dataclass_fields__, *dir(ModelConfig)}
