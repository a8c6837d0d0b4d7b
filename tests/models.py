"""Small models of every kind, for the tests that need one."""

from __future__ import annotations

from typing import Any

import torch

from dslm.model.config import ModelConfig
from dslm.model.stages import stages
from dslm.model.transformer import Transformer

SMALL = {"layers": 2, "heads": 4, "width": 32, "sequence": 16, "vocabulary": 50}
LLAMA = {
    "positions": "rotary",
    "norm": "rms",
    "activation": "swiglu",
    "bias": False,
    "key_value_heads": 2,
}
KINDS: dict[str, dict[str, Any]] = {
    "gpt2": {},
    "llama": LLAMA,
    "llama untied": {**LLAMA, "tied": False},
    "llama one group": {**LLAMA, "key_value_heads": 1, "feed_forward": 40},
    "original": {"positions": "sinusoidal", "norm_position": "post", "activation": "gelu"},
    "post-norm untied": {"norm_position": "post", "norm": "rms", "bias": False, "tied": False},
    "without positions": {"positions": "none", "bias": False},
}

LSTM: dict[str, Any] = {"block": "lstm", "heads": None, "positions": "none"}
GRU: dict[str, Any] = {**LSTM, "block": "gru"}
RECURRENT: dict[str, dict[str, Any]] = {
    "lstm": LSTM,
    "gru": GRU,
    "lstm post-norm": {**LSTM, "norm_position": "post", "norm": "rms", "bias": False},
    "gru with positions": {**GRU, "positions": "learned", "tied": False},
}


def small(**changes: Any) -> ModelConfig:
    """A small shape with some settings changed."""
    return ModelConfig(**{**SMALL, **changes})


def shaken(model: Any) -> Any:
    """The model with every weight random, so that no weight is hidden by being zero or one."""
    torch.manual_seed(0)
    for weight in model.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.05)
    return model.eval()


def build(config: ModelConfig, seed: int = 0) -> Transformer:
    """A model of a shape."""
    return Transformer(stages(config, seed))
