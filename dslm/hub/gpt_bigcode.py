"""GPTBigCode (Ben Allal et al. 2023) with as many keys as queries: GPT-2 as linear maps.

`transformers` loads rounded weights into maps of this kind, which GPT-2's own (Conv1D) are not.
"""

from __future__ import annotations

from dataclasses import replace

from dslm.hub import gpt2
from dslm.hub.family import Tensors, one
from dslm.hub.variants import of_task
from dslm.model.block import Block


def _unpackable(kind: str, inputs: bool) -> str:
    """It initializes maps by a weight that a packed one does not have."""
    return "" if kind == "int-quantized" else "transformers loads no packed weights into it"


FAMILY = replace(
    gpt2.FAMILY,
    name="GPTBigCode",
    model_type="gpt_bigcode",
    architectures={"GPTBigCodeForCausalLM": {}},
    theirs={"scale_attn_weights": True, "add_cross_attention": False, "multi_query": False},
    names={
        **gpt2.NAMES,
        Block: {
            "attention_norm": one("transformer.h.{}.ln_1"),
            "attention.project": Tensors(("transformer.h.{}.attn.c_attn",), by_head=True),
            "attention.output": one("transformer.h.{}.attn.c_proj"),
            "feed_forward_norm": one("transformer.h.{}.ln_2"),
            "feed_forward.enter": one("transformer.h.{}.mlp.c_fc"),
            "feed_forward.leave": one("transformer.h.{}.mlp.c_proj"),
        },
    },
    unpackable=_unpackable,
)

VARIANTS = (
    of_task(
        FAMILY,
        "classification",
        "GPTBigCodeForSequenceClassification",
        {"class_bias": None},
        classes=one("score"),
    ),
    of_task(
        FAMILY,
        "tagging",
        "GPTBigCodeForTokenClassification",
        {"class_bias": True},
        classes=one("classifier"),
    ),
)
