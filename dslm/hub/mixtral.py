"""Mixtral (Jiang et al. 2024) as `transformers` keeps it: Mistral with experts."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.errors import Problem
from dslm.hub import mistral
from dslm.hub.family import Key, one
from dslm.model.block import Block
from dslm.model.config import ModelConfig

DEFAULTS = {
    "key_value_heads": 8,
    "norm_epsilon": 1e-5,
    "rotary_base": 1e6,
}
"""What a file means that leaves these out, where Mistral's means something else."""

EXPERT = "model.layers.{}.block_sparse_moe.experts.{}"

NAMES = {
    **mistral.FAMILY.names,
    Block: {
        **mistral.FAMILY.names[Block],
        "feed_forward.router": one("model.layers.{}.block_sparse_moe.gate"),
        "feed_forward.enter": one(f"{EXPERT}.w1", f"{EXPERT}.w3"),
        "feed_forward.leave": one(f"{EXPERT}.w2"),
    },
}


def _renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
    """Settings as of Mistral, but a window is none where nothing is said."""
    return mistral.FAMILY.renewed({"sliding_window": None, **settings}, held)


def without_experts(config: ModelConfig) -> list[Problem]:
    """What a family says that always has experts."""
    return [] if config.experts else [Problem("model.experts", 0, "the family has several")]


FAMILY = replace(
    mistral.FAMILY,
    name="Mixtral",
    model_type="mixtral",
    architectures={"MixtralForCausalLM": {}},
    keys=(
        *(replace(key, default=DEFAULTS.get(key.ours, key.default)) for key in mistral.FAMILY.keys),
        Key("num_local_experts", "experts", 8, also="num_experts"),
        Key("num_experts_per_tok", "experts_per_token", 2),
    ),
    ours={**mistral.FAMILY.ours, "experts_normalized": True},
    theirs={**mistral.FAMILY.theirs, "router_jitter_noise": 0.0},
    names=NAMES,
    renewed=_renewed,
    refuse=without_experts,
)
