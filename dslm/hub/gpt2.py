"""GPT-2 (Radford et al. 2019) as `transformers` keeps it: ``GPT2LMHeadModel``."""

from __future__ import annotations

from dslm.hub.family import CAUSAL, Family, Key, grouped, one, turned
from dslm.hub.variants import of_task
from dslm.model.block import Block
from dslm.model.embedding import FinalNorm, Head, Positions, TokenEmbedding

KEYS = (
    Key("vocab_size", "vocabulary"),
    Key("n_positions", "sequence", also="max_position_embeddings"),
    Key("n_embd", "width", also="hidden_size"),
    Key("n_layer", "layers", also="num_hidden_layers"),
    Key("n_head", "heads", also="num_attention_heads"),
    Key("n_inner", "feed_forward", None),
    Key(
        "activation_function",
        "activation",
        "gelu_new",
        {
            "gelu_new": "gelu_tanh",
            "gelu_pytorch_tanh": "gelu_tanh",
            "gelu": "gelu",
            "relu2": "relu2",
        },
    ),
    Key("layer_norm_epsilon", "norm_epsilon", 1e-5),
    Key("initializer_range", "initialization", 0.02),
    Key("tie_word_embeddings", "tied", True),
    Key("resid_pdrop", "dropout", 0.1),
    Key("embd_pdrop", "dropout", 0.1),
    Key("attn_pdrop", "dropout", 0.1),
)

NAMES = {
    TokenEmbedding: {"embedding": one("transformer.wte")},
    Positions: {"embedding": one("transformer.wpe")},
    Block: {
        "attention_norm": one("transformer.h.{}.ln_1"),
        "attention.project": turned("transformer.h.{}.attn.c_attn"),
        "attention.output": turned("transformer.h.{}.attn.c_proj"),
        "feed_forward_norm": one("transformer.h.{}.ln_2"),
        "feed_forward.enter": turned("transformer.h.{}.mlp.c_fc"),
        "feed_forward.leave": turned("transformer.h.{}.mlp.c_proj"),
    },
    FinalNorm: {"norm": one("transformer.ln_f")},
    Head: {"unembedding": one("lm_head")},
}

FAMILY = Family(
    name="GPT-2",
    model_type="gpt2",
    architectures={"GPT2LMHeadModel": {}},
    keys=KEYS,
    ours={
        **CAUSAL,
        "positions": "learned",
        "norm": "layer",
        "norm_position": "pre",
        "bias": True,
    },
    theirs={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    names=NAMES,
    base="transformer.",
    buffers=r"transformer\.h\.\d+\.attn\.(masked_)?bias",
    refuse=grouped,
    unpackable=lambda kind, inputs: "transformers leaves packed maps of its kind (Conv1D) random",
)

VARIANTS = (
    of_task(
        FAMILY,
        "classification",
        "GPT2ForSequenceClassification",
        {"class_bias": None},
        classes=one("score"),
    ),
    of_task(
        FAMILY,
        "tagging",
        "GPT2ForTokenClassification",
        {"class_bias": True},
        classes=one("classifier"),
    ),
)
