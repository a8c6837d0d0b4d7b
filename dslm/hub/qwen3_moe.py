"""Qwen3 with experts (Yang et al. 2025) as `transformers` keeps it, in every block."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import Any

from dslm.hub import qwen3
from dslm.hub.family import Key, one
from dslm.hub.mixtral import without_experts
from dslm.model.block import Block

DEFAULTS = {"key_value_heads": 4, "head_width": None}
"""What a file means that leaves these out, where Qwen3's means something else."""

EXPERT = "model.layers.{}.mlp.experts.{}"


def _renewed(settings: Mapping[str, Any], held: Container[str]) -> Mapping[str, Any]:
    """Settings with an empty list of blocks without experts, which may be left out."""
    dense = settings.get("mlp_only_layers") or []
    return qwen3.FAMILY.renewed({**settings, "mlp_only_layers": dense}, held)


FAMILY = replace(
    qwen3.FAMILY,
    name="Qwen3 MoE",
    model_type="qwen3_moe",
    architectures={"Qwen3MoeForCausalLM": {}},
    keys=(
        *(
            replace(key, default=DEFAULTS.get(key.ours, key.default))
            for key in qwen3.FAMILY.keys
            if key.ours != "feed_forward"
        ),
        Key("moe_intermediate_size", "feed_forward", 768, written="inner_width"),
        Key("num_experts", "experts", 128, also="num_local_experts"),
        Key("num_experts_per_tok", "experts_per_token", 8),
        Key("norm_topk_prob", "experts_normalized", False),
    ),
    theirs={**qwen3.FAMILY.theirs, "mlp_only_layers": [], "decoder_sparse_step": 1},
    names={
        **qwen3.FAMILY.names,
        Block: {
            **qwen3.FAMILY.names[Block],
            "feed_forward.router": one("model.layers.{}.mlp.gate"),
            "feed_forward.enter": one(f"{EXPERT}.gate_proj", f"{EXPERT}.up_proj"),
            "feed_forward.leave": one(f"{EXPERT}.down_proj"),
        },
    },
    renewed=_renewed,
    refuse=without_experts,
)
