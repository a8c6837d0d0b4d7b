"""Small models of every kind, for the tests that need one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from dslm.model.config import ModelConfig
from dslm.model.dropout import DROPOUT_KEYS
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
    "wide heads": {"head_width": 12},
    "narrow heads in groups": {**LLAMA, "head_width": 6},
    "qwen3": {**LLAMA, "head_width": 12, "qk_norm": True},
    "fast": {"qk_norm": True, "activation": "relu2", "tied": False},
}

LSTM: dict[str, Any] = {"block": "lstm", "heads": None, "positions": "none"}
GRU: dict[str, Any] = {**LSTM, "block": "gru"}
RECURRENT: dict[str, dict[str, Any]] = {
    "lstm": LSTM,
    "gru": GRU,
    "lstm post-norm": {**LSTM, "norm_position": "post", "norm": "rms", "bias": False},
    "gru with positions": {**GRU, "positions": "learned", "tied": False},
}

TOKENS = torch.randint(50, (2, 16), generator=torch.Generator().manual_seed(1))
"""Some for any of them."""
KEYS = torch.tensor([3, -5])
"""A key for each of these rows, by which is decided what dropout drops."""


def small(**changes: Any) -> ModelConfig:
    """A small shape with some settings changed."""
    return ModelConfig(**{**SMALL, **changes})


def shaken(model: Any) -> Any:
    """The model with every weight random, so that no weight is hidden by being zero or one."""
    torch.manual_seed(0)
    for weight in model.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.05)
    return model.eval()


def build(config: ModelConfig, seed: int = 0, extras: tuple[str, ...] = ()) -> Transformer:
    """A model of a shape."""
    return Transformer(stages(config, seed, extras))


def loss_and_gradients(config: ModelConfig) -> tuple[Tensor, list[Tensor]]:
    """What a model of a shape says of `TOKENS`, and the gradients of all its weights."""
    model = build(config, extras=(DROPOUT_KEYS,))
    scores = model((TOKENS[:, :-1], KEYS))
    loss = F.cross_entropy(scores.flatten(0, 1), TOKENS[:, 1:].flatten())
    loss.backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert len(gradients) == len(list(model.parameters()))
    return loss.detach(), gradients


def rows_of_every_kind() -> Tensor:
    """Visibility [6, 16]: causal, whole, a prefix, padding, many documents, padding alone."""
    rows = [
        [1] * 16,
        [-1] * 16,
        [-1] * 6 + [1] * 10,
        [-1] * 4 + [1] * 5 + [0] * 7,
        [-1, -1, 1, 1, 1, -2, -2, 2, 3, 3, -4, -4, -4, 0, 0, 0],
        [0] * 16,
    ]
    return torch.tensor(rows)
