"""T5 (Raffel et al. 2020) and T5 1.1, FLAN-T5 among them, as `transformers` keeps them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from dslm.hub.family import CAUSAL, Family, Key, Names, Tensors, one, two_stacks
from dslm.model.block import Block
from dslm.model.embedding import FinalNorm, Head, Positions, TokenEmbedding

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("n_positions", "sequence", 512),
    Key("d_model", "width", also="hidden_size"),
    Key("num_layers", "encoder_layers", also="num_hidden_layers"),
    Key("num_decoder_layers", "layers"),
    Key("num_heads", "heads", also="num_attention_heads"),
    Key("d_kv", "head_width", written="key_width", also="head_dim"),
    Key("d_ff", "feed_forward", written="inner_width"),
    Key("relative_attention_num_buckets", "relative_buckets", 32),
    Key("relative_attention_max_distance", "relative_distance", 128),
    Key(
        "feed_forward_proj",
        "activation",
        "relu",
        {
            "relu": "relu",
            "gated-gelu": "geglu",
            "gated-gelu_new": "geglu",
            "gated-gelu_pytorch_tanh": "geglu",
            "gated-silu": "swiglu",
            "gelu_new": "gelu_tanh",
            "gelu_pytorch_tanh": "gelu_tanh",
            "gelu": "gelu",
        },
    ),
    Key("layer_norm_epsilon", "norm_epsilon", 1e-6),
    Key("tie_word_embeddings", "tied", True),
    Key("scale_decoder_outputs", "head_scale", True),
    Key("dropout_rate", "dropout", 0.1),
)


def _attention(stack: str, place: int, name: str) -> str:
    return f"{stack}.block.{{}}.layer.{place}.{name}"


def _stack(stack: str, last: int) -> Names:
    """The names of a stack, whose feed-forward layer is the `last` part of a block."""
    own, dense = _attention(stack, 0, "SelfAttention"), _attention(stack, last, "DenseReluDense")
    first = f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias"
    return {
        Positions: {"relative.embedding": one(first)},
        Block: {
            "attention_norm": one(_attention(stack, 0, "layer_norm")),
            "attention.project": one(f"{own}.q", f"{own}.k", f"{own}.v"),
            "attention.output": one(f"{own}.o"),
            "feed_forward_norm": one(_attention(stack, last, "layer_norm")),
            "feed_forward.enter": Tensors(
                (f"{dense}.wi",), gated=(f"{dense}.wi_0", f"{dense}.wi_1")
            ),
            "feed_forward.leave": one(f"{dense}.wo"),
        },
        FinalNorm: {"norm": one(f"{stack}.final_layer_norm")},
    }


CROSS = _attention("decoder", 1, "EncDecAttention")
ENCODER: Names = {TokenEmbedding: {"embedding": one("shared")}, **_stack("encoder", last=1)}
DECODER = _stack("decoder", last=2)
NAMES: Names = {
    **DECODER,
    Block: {
        **DECODER[Block],
        "cross_attention_norm": one(_attention("decoder", 1, "layer_norm")),
        "cross_attention.ask": one(f"{CROSS}.q"),
        "cross_attention.remember": one(f"{CROSS}.k", f"{CROSS}.v"),
        "cross_attention.output": one(f"{CROSS}.o"),
    },
    Head: {"unembedding": one("lm_head")},
}


def _renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
    """Settings in which every word says what it does, as `transformers` reads them.

    Since version 5 it unties a head that the files hold, and no longer by tie_word_embeddings,
    which says whether scores are scaled. The two words for the feed-forward layer come first.
    """
    layer = str(settings.get("feed_forward_proj", "relu"))
    gate, _, name = layer.rpartition("-")
    function = settings.get("dense_act_fn", "gelu_new" if layer == "gated-gelu" else name)
    gated = settings.get("is_gated_act", gate == "gated")
    tied = settings.get("tie_word_embeddings")
    scaled = settings.get("scale_decoder_outputs", tied is not False)
    encoder = settings.get("num_layers", settings.get("num_hidden_layers"))
    decoder = settings.get("num_decoder_layers")
    return {
        **settings,
        "feed_forward_proj": f"gated-{function}" if gated else function,
        "tie_word_embeddings": bool(scaled) or "lm_head.weight" not in held,
        "scale_decoder_outputs": scaled,
        "num_decoder_layers": encoder if decoder is None else decoder,
    }


def _unpackable(kind: str, inputs: bool) -> str:
    """Its feed-forward layer asks for the numbers of a weight that a packed map does not have."""
    return "dslm writes no T5 in few bits, which transformers computes from whole weights"


FAMILY = Family(
    name="T5",
    model_type="t5",
    architectures={"T5ForConditionalGeneration": {}, "T5WithLMHeadModel": {}},
    keys=KEYS,
    ours={
        **CAUSAL,
        "positions": "relative",
        "norm": "rms",
        "norm_position": "pre",
        "bias": False,
        "attention_scale": False,
    },
    theirs={"is_encoder_decoder": True},
    names=NAMES,
    base="",
    buffers=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
    encoder=ENCODER,
    shared={f"{stack}.embed_tokens.weight": "shared.weight" for stack in ("encoder", "decoder")},
    ids={"eos": 1, "pad": 0, "decoder_start": 0},
    frame=((), ("eos",)),
    renewed=_renewed,
    refuse=two_stacks,
    unpackable=_unpackable,
)
