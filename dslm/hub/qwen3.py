"""Qwen3 (Yang et al. 2025) as `transformers` keeps it, where no window limits attention."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.hub import llama
from dslm.hub.family import one
from dslm.model.block import Block

DEFAULTS = {"sequence": 32768, "head_width": 128}
"""What a file means that leaves these out, where Llama's means something else."""


def _renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
    """Settings without a list that says of each layer that it attends to all."""
    kinds = settings.get("layer_types")
    if isinstance(kinds, list) and all(kind == "full_attention" for kind in kinds):
        settings = {**settings, "layer_types": None}
    return llama.FAMILY.renewed(settings, held)


FAMILY = replace(
    llama.FAMILY,
    name="Qwen3",
    model_type="qwen3",
    architectures={"Qwen3ForCausalLM": {}},
    keys=tuple(
        replace(key, default=DEFAULTS.get(key.ours, key.default))
        for key in llama.KEYS
        if key.ours != "bias"
    ),
    ours={**llama.FAMILY.ours, "bias": False, "qk_norm": True},
    theirs={
        **llama.FAMILY.theirs,
        "attention_bias": False,
        "use_sliding_window": False,
        "layer_types": None,
    },
    names={
        **llama.NAMES,
        Block: {
            **llama.NAMES[Block],
            "attention.query_norm": one("model.layers.{}.self_attn.q_norm"),
            "attention.key_norm": one("model.layers.{}.self_attn.k_norm"),
        },
    },
    renewed=_renewed,
)
