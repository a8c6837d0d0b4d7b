"""Shapes of BERT, and both of its heads with segments and padding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dslm.inference.trained import Trained

DRAW = torch.Generator().manual_seed(1)
LENGTHS = torch.tensor([[24], [17], [5]])
SHAPE: dict[str, Any] = {
    "attention": "full",
    "norm_position": "post",
    "norm_epsilon": 1e-12,
    "activation": "gelu",
    "embedding_norm": True,
    "transform": True,
}
PAIRED = {**SHAPE, "segments": 2, "pair_head": True}
PAIRS = {"kind": "masked", "masked": {"pairs": "next_sentence"}}
ALONE = {"kind": "masked"}


def heads(trained: Trained, tokens: Tensor, segments: Tensor, real: Tensor) -> tuple[Tensor, ...]:
    """Our scores at all places, and those of the pair."""
    extras = {
        "segments": segments,
        "visibility": -real.long(),
        "selected": torch.arange(tokens.shape[1]).expand(tokens.shape),
    }
    with torch.no_grad():
        outputs = trained.model((tokens, *(extras[n] for n in trained.objective.extras)))
    return outputs if isinstance(outputs, tuple) else (outputs,)


def compared(trained: Trained, theirs: Any, vocabulary: int, width: int = 24) -> float:
    """The largest difference of both heads, where tokens are no padding."""
    tokens = torch.randint(vocabulary, (3, width), generator=DRAW)
    segments = (torch.arange(width) >= 3 * width // 8).long().expand(3, width)
    real = torch.arange(width) < LENGTHS
    scores, pair = heads(trained, tokens, segments, real)
    with torch.no_grad():
        wanted = theirs(tokens, attention_mask=real.long(), token_type_ids=segments)
    apart = (scores - wanted.prediction_logits).abs()[real].max()
    return float(max(apart, (pair - wanted.seq_relationship_logits).abs().max()))
