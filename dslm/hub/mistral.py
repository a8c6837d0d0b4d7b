"""Mistral (Jiang et al. 2023) as `transformers` keeps it, where no window limits attention."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.hub import llama

BIASES = ("attention_bias", "mlp_bias")


def _renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
    """Settings without a window that is as long as the longest text."""
    window = settings.get("sliding_window", 4096)
    longest = settings.get("max_position_embeddings", 131072)
    if isinstance(window, int) and isinstance(longest, int) and window >= longest:
        window = None
    return llama.FAMILY.renewed({**settings, "sliding_window": window}, held)


FAMILY = replace(
    llama.FAMILY,
    name="Mistral",
    model_type="mistral",
    architectures={"MistralForCausalLM": {}},
    keys=tuple(
        replace(key, default=131072) if key.ours == "sequence" else key
        for key in llama.KEYS
        if key.theirs not in BIASES
    ),
    ours={**llama.FAMILY.ours, "bias": False},
    theirs={**llama.FAMILY.theirs, "sliding_window": None},
    renewed=_renewed,
)
