"""BART (Lewis et al. 2020) as `transformers` keeps it.

That attention and activations may have a dropout of their own changes no score and is not read:
training goes on with that of the residual stream.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from dslm.hub.family import CAUSAL, Family, Key, Names, Tensors, one, two_stacks
from dslm.model.block import Block
from dslm.model.embedding import Head, Positions, TokenEmbedding

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("max_position_embeddings", "sequence", 1024),
    Key("d_model", "width", also="hidden_size"),
    Key("encoder_layers", "encoder_layers", also="num_hidden_layers"),
    Key("decoder_layers", "layers"),
    Key("encoder_attention_heads", "heads", also="num_attention_heads"),
    Key("decoder_attention_heads", "heads"),
    Key("encoder_ffn_dim", "feed_forward", written="inner_width"),
    Key("decoder_ffn_dim", "feed_forward", written="inner_width"),
    Key(
        "activation_function",
        "activation",
        "gelu",
        {
            "gelu": "gelu",
            "relu": "relu",
            "gelu_new": "gelu_tanh",
            "gelu_pytorch_tanh": "gelu_tanh",
        },
    ),
    Key("init_std", "initialization", 0.02),
    Key("dropout", "dropout", 0.1),
)
SIZES = {
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
}
"""What a config.json means that leaves one of them out."""


def _stack(stack: str) -> Names:
    block = f"model.{stack}.layers.{{}}"
    own = f"{block}.self_attn"
    return {
        # Two vectors come before that of the first position.
        Positions: {
            "embedding": Tensors((f"model.{stack}.embed_positions",), unused=2),
            "norm": one(f"model.{stack}.layernorm_embedding"),
        },
        Block: {
            "attention.project": one(f"{own}.q_proj", f"{own}.k_proj", f"{own}.v_proj"),
            "attention.output": one(f"{own}.out_proj"),
            "attention_norm": one(f"{block}.self_attn_layer_norm"),
            "feed_forward.enter": one(f"{block}.fc1"),
            "feed_forward.leave": one(f"{block}.fc2"),
            "feed_forward_norm": one(f"{block}.final_layer_norm"),
        },
    }


CROSS = "model.decoder.layers.{}.encoder_attn"
ENCODER: Names = {TokenEmbedding: {"embedding": one("model.shared")}, **_stack("encoder")}
DECODER = _stack("decoder")
NAMES: Names = {
    **DECODER,
    Block: {
        **DECODER[Block],
        "cross_attention.ask": one(f"{CROSS}.q_proj"),
        "cross_attention.remember": one(f"{CROSS}.k_proj", f"{CROSS}.v_proj"),
        "cross_attention.output": one(f"{CROSS}.out_proj"),
        "cross_attention_norm": one(f"{CROSS}_layer_norm"),
    },
    Head: {"unembedding": one("lm_head")},
}


def _renewed(settings: Mapping[str, Any], _: Container[str]) -> Mapping[str, Any]:
    """Settings with the sizes of both stacks, which are compared."""
    names = {
        "num_hidden_layers": "encoder_layers",
        "num_attention_heads": "encoder_attention_heads",
    }
    given = {names.get(name, name): value for name, value in settings.items()}
    return {**{name: n for name, n in SIZES.items() if name not in given}, **settings}


def _unpackable(kind: str, inputs: bool) -> str:
    return "dslm writes no BART in few bits"


FAMILY = Family(
    name="BART",
    model_type="bart",
    architectures={"BartForConditionalGeneration": {}, "BartModel": {}},
    keys=KEYS,
    ours={
        **CAUSAL,
        "positions": "learned",
        "embedding_norm": True,
        "norm": "layer",
        "norm_position": "post",
        "norm_epsilon": 1e-5,
        "bias": True,
        "tied": True,
    },
    theirs={
        "is_encoder_decoder": True,
        "is_decoder": False,
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
    },
    names=NAMES,
    base="model.",
    buffers=r"(?!)",  # none
    encoder=ENCODER,
    shared={
        f"model.{stack}.embed_tokens.weight": "model.shared.weight"
        for stack in ("encoder", "decoder")
    },
    zeros={"final_logits_bias": lambda config: (1, config.size)},
    ids={"bos": 0, "pad": 1, "eos": 2, "decoder_start": 2},
    frame=(("bos",), ("eos",)),
    style="infilling",
    renewed=_renewed,
    refuse=two_stacks,
    unpackable=_unpackable,
)
