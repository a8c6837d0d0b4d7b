"""Our models against the reference implementations of `transformers`, with the same weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.models import shaken
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from dslm.model.config import ModelConfig
from dslm.model.counts import parameter_count
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

TOKENS = torch.randint(97, (3, 24), generator=torch.Generator().manual_seed(1))
SHAPE = {"layers": 3, "heads": 6, "width": 48, "sequence": 24, "vocabulary": 97}


def from_gpt2(theirs: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Their weights under our names; their linear layers are stored transposed."""
    ours = {
        "0.embedding.weight": theirs["wte.weight"],
        "1.embedding.weight": theirs["wpe.weight"],
        f"{layers + 2}.norm.weight": theirs["ln_f.weight"],
        f"{layers + 2}.norm.bias": theirs["ln_f.bias"],
    }
    names = {
        "attention_norm": "ln_1",
        "attention.project": "attn.c_attn",
        "attention.output": "attn.c_proj",
        "feed_forward_norm": "ln_2",
        "feed_forward.enter": "mlp.c_fc",
        "feed_forward.leave": "mlp.c_proj",
    }
    for layer in range(layers):
        for our, their in names.items():
            for kind in ("weight", "bias"):
                tensor = theirs[f"h.{layer}.{their}.{kind}"]
                ours[f"{layer + 2}.{our}.{kind}"] = tensor.T if tensor.dim() == 2 else tensor
    return {f"layers.{name}": tensor for name, tensor in ours.items()}


def from_llama(theirs: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """Their weights under our names; ours keep queries, keys, values and gate, up together."""
    ours = {
        "0.embedding.weight": theirs["embed_tokens.weight"],
        f"{layers + 2}.norm.weight": theirs["norm.weight"],
    }
    names = {
        "attention_norm": ["input_layernorm"],
        "attention.project": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        "attention.output": ["self_attn.o_proj"],
        "feed_forward_norm": ["post_attention_layernorm"],
        "feed_forward.enter": ["mlp.gate_proj", "mlp.up_proj"],
        "feed_forward.leave": ["mlp.down_proj"],
    }
    for layer in range(layers):
        for our, parts in names.items():
            tensors = [theirs[f"layers.{layer}.{part}.weight"] for part in parts]
            ours[f"{layer + 2}.{our}.weight"] = torch.cat(tensors)
    return {f"layers.{name}": tensor for name, tensor in ours.items()}


def largest_difference(ours: Transformer, theirs: Any) -> float:
    with torch.no_grad():
        return float((ours.eval()(TOKENS) - theirs(TOKENS).logits).abs().max())


def test_gpt2_gives_the_logits_of_transformers() -> None:
    theirs = shaken(
        GPT2LMHeadModel(GPT2Config(n_layer=3, n_head=6, n_embd=48, n_positions=24, vocab_size=97))
    )
    config = ModelConfig(**SHAPE)
    ours = Transformer(stages(config, 0))
    ours.load_state_dict(from_gpt2(theirs.transformer.state_dict(), 3))
    assert largest_difference(ours, theirs) <= 1e-5
    assert parameter_count(config) == theirs.num_parameters()


@pytest.mark.parametrize("groups", [6, 2, 1])
@pytest.mark.parametrize("tied", [True, False])
def test_llama_gives_the_logits_of_transformers(groups: int, tied: bool) -> None:
    theirs = shaken(
        LlamaForCausalLM(
            LlamaConfig(
                num_hidden_layers=3,
                num_attention_heads=6,
                num_key_value_heads=groups,
                hidden_size=48,
                intermediate_size=64,
                max_position_embeddings=24,
                vocab_size=97,
                rms_norm_eps=1e-5,
                rope_parameters={"rope_type": "default", "rope_theta": 500.0},
                tie_word_embeddings=tied,
            )
        )
    )
    config = ModelConfig(
        **SHAPE,
        key_value_heads=groups,
        feed_forward=64,
        positions="rotary",
        rotary_base=500.0,
        norm="rms",
        activation="swiglu",
        bias=False,
        tied=tied,
    )
    weights = from_llama(theirs.model.state_dict(), 3)
    if not tied:
        weights["layers.6.unembedding.weight"] = theirs.lm_head.weight
    ours = Transformer(stages(config, 0))
    ours.load_state_dict(weights)
    assert largest_difference(ours, theirs) <= 1e-5
    assert parameter_count(config) == theirs.num_parameters()
