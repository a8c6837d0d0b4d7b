"""OPT (Zhang et al. 2022) as `transformers` keeps it, with GELU: GPT-2 as linear maps.

`transformers` loads rounded weights into maps of this kind, which GPT-2's own (Conv1D) are not.
"""

from __future__ import annotations

from dslm.hub.family import CAUSAL, Family, Key, Tensors, grouped, one
from dslm.hub.variants import of_task
from dslm.model.block import Block
from dslm.model.embedding import FinalNorm, Head, Positions, TokenEmbedding

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("max_position_embeddings", "sequence"),
    Key("hidden_size", "width"),
    Key("num_hidden_layers", "layers"),
    Key("num_attention_heads", "heads"),
    Key("ffn_dim", "feed_forward", written="inner_width"),
    Key(
        "activation_function",
        "activation",
        "relu",
        {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu"},
    ),
    Key("init_std", "initialization", 0.02),
    Key("tie_word_embeddings", "tied", True),
    Key("dropout", "dropout", 0.1),
    Key("attention_dropout", "dropout", 0.0),
)

NAMES = {
    TokenEmbedding: {"embedding": one("model.decoder.embed_tokens")},
    # Two vectors come before that of the first position.
    Positions: {"embedding": Tensors(("model.decoder.embed_positions",), unused=2)},
    Block: {
        "attention_norm": one("model.decoder.layers.{}.self_attn_layer_norm"),
        "attention.project": one(
            "model.decoder.layers.{}.self_attn.q_proj",
            "model.decoder.layers.{}.self_attn.k_proj",
            "model.decoder.layers.{}.self_attn.v_proj",
        ),
        "attention.output": one("model.decoder.layers.{}.self_attn.out_proj"),
        "feed_forward_norm": one("model.decoder.layers.{}.final_layer_norm"),
        "feed_forward.enter": one("model.decoder.layers.{}.fc1"),
        "feed_forward.leave": one("model.decoder.layers.{}.fc2"),
    },
    FinalNorm: {"norm": one("model.decoder.final_layer_norm")},
    Head: {"unembedding": one("lm_head")},
}


def _unpackable(kind: str, inputs: bool) -> str:
    """It lays all texts end to end before a map, where inputs would get one step for all tokens."""
    return "transformers gives all tokens of its inputs one step" if inputs else ""


FAMILY = Family(
    name="OPT",
    model_type="opt",
    architectures={"OPTForCausalLM": {}},
    keys=KEYS,
    ours={
        **CAUSAL,
        "positions": "learned",
        "norm": "layer",
        "norm_position": "pre",
        "norm_epsilon": 1e-5,
        "bias": True,
    },
    theirs={
        "do_layer_norm_before": True,
        "_remove_final_layer_norm": False,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "layerdrop": 0.0,
    },
    widths={"word_embed_proj_dim": "width"},
    names=NAMES,
    base="model.decoder.",
    buffers=r"(?!)",  # none
    refuse=grouped,
    unpackable=_unpackable,
)

VARIANTS = (
    of_task(
        FAMILY,
        "classification",
        "OPTForSequenceClassification",
        {"class_bias": None},
        classes=one("score"),
    ),
)
