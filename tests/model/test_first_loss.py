"""Before it has learned anything, a model must hold every token for equally likely."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers.models import KINDS, LLAMA, build, small

from dslm.model.config import ModelConfig

GPT2 = {"layers": 2, "heads": 4, "sequence": 64, "vocabulary": 50257}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2 small": {**GPT2, "width": 768},
    "gpt2 xl": {**GPT2, "width": 1600},
    "wide llama": {**GPT2, **LLAMA, "width": 1600, "vocabulary": 32000},
    "deep": {"layers": 24, "heads": 4, "width": 128, "sequence": 64, "vocabulary": 65},
}


def first_loss(config: ModelConfig) -> float:
    """The mean over all tokens that might come next, so that no luck is in it."""
    draw = torch.Generator().manual_seed(7)
    tokens = torch.randint(config.size, (3, config.sequence), generator=draw)
    with torch.no_grad():
        scores = build(config).eval()(tokens)
    return float((scores.logsumexp(-1) - scores.mean(-1)).mean())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocabulary", [300, 5000])
def test_the_first_loss_of_every_kind_is_the_logarithm_of_the_vocabulary(
    kind: str, vocabulary: int
) -> None:
    config = small(**KINDS[kind], width=128, sequence=64, vocabulary=vocabulary)
    assert first_loss(config) == pytest.approx(math.log(vocabulary), abs=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_loss_of_every_size_is_the_logarithm_of_the_vocabulary(shape: str) -> None:
    config = ModelConfig(**SHAPES[shape])
    assert first_loss(config) == pytest.approx(math.log(config.size), abs=0.1)
