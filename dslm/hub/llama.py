"""Llama (Touvron et al. 2023) and models of its shape, as `transformers` keeps them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from dslm.hub.family import CAUSAL, Family, Key, one
from dslm.hub.variants import of_task
from dslm.model.block import Block
from dslm.model.embedding import FinalNorm, Head, TokenEmbedding

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("max_position_embeddings", "sequence", 2048),
    Key("hidden_size", "width"),
    Key("num_hidden_layers", "layers"),
    Key("num_attention_heads", "heads"),
    Key("num_key_value_heads", "key_value_heads", None, written="query_groups"),
    Key("head_dim", "head_width", None, written="key_width"),
    Key("intermediate_size", "feed_forward", written="inner_width"),
    Key("hidden_act", "activation", "silu", {"silu": "swiglu"}),
    Key("rms_norm_eps", "norm_epsilon", 1e-6),
    Key("initializer_range", "initialization", 0.02),
    Key("tie_word_embeddings", "tied", False),
    Key("attention_bias", "bias", False),
    Key("mlp_bias", "bias", False),
    Key("rope_parameters.rope_theta", "rotary_base", 10000.0),  # since transformers 5
    Key("rope_theta", "rotary_base", 10000.0),  # before
)

NAMES = {
    TokenEmbedding: {"embedding": one("model.embed_tokens")},
    Block: {
        "attention_norm": one("model.layers.{}.input_layernorm"),
        "attention.project": one(
            "model.layers.{}.self_attn.q_proj",
            "model.layers.{}.self_attn.k_proj",
            "model.layers.{}.self_attn.v_proj",
        ),
        "attention.output": one("model.layers.{}.self_attn.o_proj"),
        "feed_forward_norm": one("model.layers.{}.post_attention_layernorm"),
        "feed_forward.enter": one("model.layers.{}.mlp.gate_proj", "model.layers.{}.mlp.up_proj"),
        "feed_forward.leave": one("model.layers.{}.mlp.down_proj"),
    },
    FinalNorm: {"norm": one("model.norm")},
    Head: {"unembedding": one("lm_head")},
}


def _renewed(settings: Mapping[str, Any], _: Container[str]) -> Mapping[str, Any]:
    """Settings with all that they say of rotary positions in `rope_parameters`.

    As `transformers` reads them: `rope_scaling` is their older name, and comes first; `type` is the
    older word for `rope_type`.
    """
    rope = settings.get("rope_scaling") or settings.get("rope_parameters") or {}
    if not isinstance(rope, Mapping):
        rope = {"rope_type": rope}
    rope = {"rope_type": rope.get("type", "default"), **rope}
    return {**settings, "rope_parameters": rope}


FAMILY = Family(
    name="Llama",
    model_type="llama",
    architectures={"LlamaForCausalLM": {}},
    keys=KEYS,
    ours={**CAUSAL, "positions": "rotary", "norm": "rms", "norm_position": "pre"},
    theirs={
        "rope_parameters.rope_type": "default",
        "attention_dropout": 0.0,
    },
    names=NAMES,
    base="model.",
    buffers=r".*\.rotary_emb\.inv_freq",
    renewed=_renewed,
)

VARIANTS = (
    of_task(
        FAMILY,
        "classification",
        "LlamaForSequenceClassification",
        {"class_bias": None},
        classes=one("score"),
    ),
    of_task(
        FAMILY,
        "tagging",
        "LlamaForTokenClassification",
        {"class_bias": True},
        classes=one("score"),
    ),
)
