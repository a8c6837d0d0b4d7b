"""llama.cpp's words for the shapes of models, and its names for their weights."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from dslm.errors import Problem
from dslm.hub import gpt2, llama
from dslm.hub.family import Family, Names, one
from dslm.hub.names import Weight, weights
from dslm.hub.registry import family_of_model
from dslm.model.block import Block
from dslm.model.config import ModelConfig
from dslm.model.embedding import FinalNorm, Head, Positions, TokenEmbedding

COMMON = {
    "context_length": "sequence",
    "embedding_length": "width",
    "block_count": "layers",
    "feed_forward_length": "inner_width",
    "attention.head_count": "heads",
    "vocab_size": "size",
}
READ = {
    "inner_width": "feed_forward",
    "size": "vocabulary",
    "query_groups": "key_value_heads",
    "key_width": "head_width",
}
"""The settings that properties of `ModelConfig` are made of."""

ENDS: Names = {
    TokenEmbedding: {"embedding": one("token_embd")},
    FinalNorm: {"norm": one("output_norm")},
    Head: {"unembedding": one("output")},
}


@dataclass(frozen=True)
class Shape:
    """A family of models in llama.cpp's words."""

    family: Family
    keys: Mapping[str, str]
    """Its words for settings, or for properties, of ours."""
    names: Names
    follows: Mapping[str, str]
    """Its words for what follows from other settings."""
    turned: Mapping[str, str]
    """How names of weights end whose rows are rotated in pairs of neighbours, and of how many
    heads they are; ours rotate the first half of a head with the second."""

    def weights(self, config: ModelConfig) -> list[Weight]:
        """The weights of a model, by its names."""
        return weights(replace(self.family, names=self.names), config)

    def settings(self, config: ModelConfig) -> Iterator[tuple[str, Any]]:
        """A model's settings in its words."""
        for theirs, ours in {**self.keys, **self.follows}.items():
            yield f"{self.family.model_type}.{theirs}", getattr(config, ours)

    def config(self, settings: Mapping[str, Any], held: Container[str]) -> ModelConfig:
        """The inverse of `settings`, with the names of the weights that there are."""
        kind = self.family.model_type
        ours = {ours: settings[f"{kind}.{theirs}"] for theirs, ours in self.keys.items()}
        values = {READ.get(name, name): value for name, value in ours.items()}
        activation = "swiglu" if "blk.0.ffn_gate.weight" in held else "gelu_tanh"
        tied, bias = "output.weight" not in held, "blk.0.ffn_up.bias" in held
        fixed = {**self.family.ours, "activation": activation, "tied": tied, "bias": bias}
        return ModelConfig(**fixed, **values)

    def rotated(self, name: str, part: Tensor, config: ModelConfig, back: bool = False) -> Tensor:
        """A weight with its rows in the order of llama.cpp, or back in ours."""
        ours = next((ours for end, ours in self.turned.items() if f".{end}." in name), None)
        if ours is None:
            return part
        halves = (-1, 2) if back else (2, -1)
        heads = part.reshape(getattr(config, ours), *halves, *part.shape[1:])
        return heads.transpose(1, 2).reshape(part.shape)


SHAPES = {
    "llama": Shape(
        llama.FAMILY,
        keys={
            **COMMON,
            "attention.head_count_kv": "query_groups",
            "attention.layer_norm_rms_epsilon": "norm_epsilon",
            "rope.freq_base": "rotary_base",
            "attention.key_length": "key_width",
        },
        follows={"rope.dimension_count": "key_width", "attention.value_length": "key_width"},
        names={
            **ENDS,
            Block: {
                "attention_norm": one("blk.{}.attn_norm"),
                "attention.project": one("blk.{}.attn_q", "blk.{}.attn_k", "blk.{}.attn_v"),
                "attention.output": one("blk.{}.attn_output"),
                "feed_forward_norm": one("blk.{}.ffn_norm"),
                "feed_forward.enter": one("blk.{}.ffn_gate", "blk.{}.ffn_up"),
                "feed_forward.leave": one("blk.{}.ffn_down"),
            },
        },
        turned={"attn_q": "heads", "attn_k": "query_groups"},
    ),
    "gpt2": Shape(
        gpt2.FAMILY,
        keys={**COMMON, "attention.layer_norm_epsilon": "norm_epsilon"},
        follows={},
        names={
            **ENDS,
            Positions: {"embedding": one("position_embd")},
            Block: {
                "attention_norm": one("blk.{}.attn_norm"),
                "attention.project": one("blk.{}.attn_qkv"),
                "attention.output": one("blk.{}.attn_output"),
                "feed_forward_norm": one("blk.{}.ffn_norm"),
                "feed_forward.enter": one("blk.{}.ffn_up"),
                "feed_forward.leave": one("blk.{}.ffn_down"),
            },
        },
        turned={},
    ),
}


def check_shape(config: ModelConfig) -> list[Problem]:
    """What keeps llama.cpp from computing a model of a family that Hugging Face has."""
    if config.classes:
        rule = "scores the classes of a task, which llama.cpp does not"
        return [Problem("model.classes", config.classes, rule)]
    family = family_of_model(config)
    if family.model_type not in SHAPES:
        rule = "is no family that dslm writes for llama.cpp"
        return [Problem(family.name, None, rule)]
    if config.activation not in ("gelu_tanh", "swiglu"):
        rule = "llama.cpp has only gelu_tanh and swiglu"
        return [Problem("model.activation", config.activation, rule)]
    return []
