"""Encoder–decoders of every kind, and the T5 and BART of `transformers` with the same weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer
from helpers.models import shaken

SHAPE = {"encoder_layers": 2, "layers": 3, "heads": 6, "width": 48, "sequence": 40}
EXTRAS = ("visibility", "targets")
T5_SHAPE = {
    **SHAPE,
    "vocabulary": 97,
    "feed_forward": 64,
    "positions": "relative",
    "relative_buckets": 8,
    "relative_distance": 20,
    "norm": "rms",
    "norm_epsilon": 1e-6,
    "bias": False,
    "attention_scale": False,
}
T5_KINDS: dict[str, dict[str, Any]] = {
    "T5": {"activation": "relu", "head_scale": True},
    "T5 1.1": {"activation": "geglu", "tied": False, "head_width": 12},
}
BART_SHAPE = {
    **SHAPE,
    "vocabulary": 97,
    "feed_forward": 64,
    "embedding_norm": True,
    "norm_position": "post",
    "activation": "gelu",
}
KINDS: dict[str, dict[str, Any]] = {
    **{name: {**T5_SHAPE, **kind} for name, kind in T5_KINDS.items()},
    "BART": BART_SHAPE,
    "Vaswani": {**BART_SHAPE, "positions": "sinusoidal", "activation": "relu"},
    "rotary in groups": {
        **BART_SHAPE,
        "positions": "rotary",
        "key_value_heads": 2,
        "head_width": 10,
        "activation": "swiglu",
        "tied": False,
    },
    "queries and keys with norms": {**BART_SHAPE, "qk_norm": True, "activation": "relu2"},
}
THEIRS = (*T5_KINDS, "BART")
"""Those that `transformers` has."""
Names = dict[str, list[str]]
"""Our weights, and those of theirs that stand one under the other in each."""


def with_kinds(names: Names, kinds: tuple[str, ...]) -> Names:
    return {
        f"{k}.{kind}": [f"{one}.{kind}" for one in v] for k, v in names.items() for kind in kinds
    }


def from_t5(tied: bool, gated: bool) -> Names:
    names = {"0.embedding": ["shared"]}
    enter = ["wi_0", "wi_1"] if gated else ["wi"]
    for stack, first, count in (("encoder", 1, 2), ("decoder", 6, 3)):
        attention = f"{stack}.block.0.layer.0.SelfAttention"
        names[f"{first}.relative.embedding"] = [f"{attention}.relative_attention_bias"]
        for block in range(count):
            ours, theirs = first + 1 + block, f"{stack}.block.{block}.layer"
            parts = {"attention": "0.SelfAttention", "cross_attention": "1.EncDecAttention"}
            for own, their in list(parts.items())[: 1 if stack == "encoder" else 2]:
                prefix = f"{theirs}.{their}"
                q, k, v, o = (f"{prefix}.{letter}" for letter in "qkvo")
                crossing = {f"{ours}.{own}.ask": [q], f"{ours}.{own}.remember": [k, v]}
                together = {f"{ours}.{own}.project": [q, k, v]}
                names |= crossing if own == "cross_attention" else together
                names |= {f"{ours}.{own}.output": [o]}
                names[f"{ours}.{own}_norm"] = [f"{theirs}.{their[0]}.layer_norm"]
            last = 1 if stack == "encoder" else 2
            dense = f"{theirs}.{last}.DenseReluDense"
            names[f"{ours}.feed_forward.enter"] = [f"{dense}.{part}" for part in enter]
            names[f"{ours}.feed_forward.leave"] = [f"{dense}.wo"]
            names[f"{ours}.feed_forward_norm"] = [f"{theirs}.{last}.layer_norm"]
        names[f"{first + 1 + count}.norm"] = [f"{stack}.final_layer_norm"]
    return with_kinds(names | ({} if tied else {"11.unembedding": ["lm_head"]}), ("weight",))


def from_bart() -> Names:
    tables, names = {"0.embedding": ["shared"]}, {}
    for stack, first, count in (("encoder", 1, 2), ("decoder", 5, 3)):
        tables[f"{first}.embedding"] = [f"{stack}.embed_positions"]
        names[f"{first}.norm"] = [f"{stack}.layernorm_embedding"]
        for block in range(count):
            ours, theirs = first + 1 + block, f"{stack}.layers.{block}"
            own, cross = f"{theirs}.self_attn", f"{theirs}.encoder_attn"
            names |= {
                f"{ours}.attention.project": [f"{own}.{letter}_proj" for letter in "qkv"],
                f"{ours}.attention.output": [f"{own}.out_proj"],
                f"{ours}.attention_norm": [f"{own}_layer_norm"],
                f"{ours}.feed_forward.enter": [f"{theirs}.fc1"],
                f"{ours}.feed_forward.leave": [f"{theirs}.fc2"],
                f"{ours}.feed_forward_norm": [f"{theirs}.final_layer_norm"],
            }
            if stack == "decoder":
                names |= {
                    f"{ours}.cross_attention.ask": [f"{cross}.q_proj"],
                    f"{ours}.cross_attention.remember": [f"{cross}.k_proj", f"{cross}.v_proj"],
                    f"{ours}.cross_attention.output": [f"{cross}.out_proj"],
                    f"{ours}.cross_attention_norm": [f"{cross}_layer_norm"],
                }
    return with_kinds(tables, ("weight",)) | with_kinds(names, ("weight", "bias"))


def pair(kind: str, noise: float = 0.0, end: int | None = None) -> tuple[ModelConfig, Any, Any]:
    """The shape of one that `transformers` has, our model and theirs.

    Args:
        kind: one of `THEIRS`.
        noise: how much random numbers of each weight are enlarged, so that texts are of many words.
        end: an id that is to come now and then.
    """
    torch.manual_seed(0)
    config = ModelConfig(**KINDS[kind])
    theirs: Any = shaken(_bart() if kind == "BART" else _t5(config))
    for weight in theirs.parameters() if noise else ():
        weight.data.add_(torch.randn_like(weight) * noise)
    if end is not None:
        head = theirs.get_output_embeddings().weight.data
        head[end] = 2 * torch.randn(config.width) * head.std()
    if kind == "BART":
        weights, names = dict(theirs.model.state_dict()), from_bart()
        for stack in ("encoder", "decoder"):  # the first two positions of BART are never used
            name = f"{stack}.embed_positions.weight"
            weights[name] = weights[name][2:]
    else:
        weights, names = theirs.state_dict(), from_t5(config.tied, config.gated)
    ours = Transformer(stages(config, 0, EXTRAS)).eval()
    ours.layers.load_state_dict(
        {name: torch.cat([weights[one] for one in parts]) for name, parts in names.items()}
    )
    return config, ours, theirs


def _t5(config: ModelConfig) -> Any:
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=97,
            d_model=48,
            d_kv=config.key_width,
            d_ff=64,
            num_layers=2,
            num_decoder_layers=3,
            num_heads=6,
            relative_attention_num_buckets=8,
            relative_attention_max_distance=20,
            feed_forward_proj="gated-gelu" if config.gated else "relu",
            tie_word_embeddings=config.tied,
            initializer_factor=0.5,  # with 1 logits are tens
        )
    )
    if not config.tied:  # `transformers` unties a head only where a file has two
        model.lm_head.weight = nn.Parameter(torch.randn(97, 48) * 0.1)
    return model


def _bart() -> Any:
    return BartForConditionalGeneration(
        BartConfig(
            vocab_size=97,
            d_model=48,
            encoder_layers=2,
            decoder_layers=3,
            encoder_attention_heads=6,
            decoder_attention_heads=6,
            encoder_ffn_dim=64,
            decoder_ffn_dim=64,
            max_position_embeddings=40,
        )
    )
