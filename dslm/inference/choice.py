"""The next tokens of some texts by the scores of all, in the order of `transformers`.

Repetition penalty, temperature, top-k, top-p, then a draw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dslm.inference.sampling import SamplingConfig


def penalized(scores: Tensor, texts: Iterable[Sequence[int]], penalty: float) -> Tensor:
    """Scores [B, V] with those of the tokens that each text has made less likely.

    Divided by the penalty or, if negative, multiplied by it (Keskar et al. 2019, section 4.1).
    """
    if penalty == 1:
        return scores
    scores = scores.clone()
    for row, text in enumerate(texts):
        ids = torch.tensor(sorted(set(text)), device=scores.device)
        had = scores[row, ids]
        scores[row, ids] = torch.where(had < 0, had * penalty, had / penalty)
    return scores


def choose(scores: Tensor, sampling: SamplingConfig, draws: Sequence[float] = ()) -> list[int]:
    """One token id for each text.

    Args:
        scores: [B, V].
        sampling: the temperature and which tokens may be drawn.
        draws: for each text a number, at least 0 and below 1; needed unless the temperature is 0.
    """
    if sampling.temperature == 0:
        likeliest: list[int] = scores.argmax(-1).tolist()
        return likeliest
    scores = scores / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < scores.shape[-1]:
        few = scores.topk(sampling.top_k)
        scores = torch.full_like(scores, -torch.inf).scatter(1, few.indices, few.values)
    if sampling.top_p is not None:
        scores = _nucleus(scores, sampling.top_p)
    reached = scores.softmax(-1, dtype=torch.float64).cumsum(-1)
    numbers = torch.tensor(draws, dtype=torch.float64, device=scores.device)[:, None]
    drawn: list[int] = torch.searchsorted(reached / reached[:, -1:], numbers, right=True)[
        :, 0
    ].tolist()
    return drawn


def stream_of(seed: int, text: Sequence[int], sample: int) -> torch.Generator:
    """The random numbers of a sample, which depend on nothing but these three.

    Args:
        seed: that of the settings.
        text: the ids of the prompt.
        sample: its number among those of the prompt.
    """
    key = json.dumps([seed, [*map(int, text)], sample]).encode()
    number = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
    return torch.Generator().manual_seed(number >> 1)


def _nucleus(scores: Tensor, share: float) -> Tensor:
    """The scores with all but the likeliest tokens, of together `share`, at minus infinity."""
    ordered, indices = scores.sort(descending=True, stable=True)
    chances = ordered.softmax(-1)
    beyond = chances.cumsum(-1) - chances >= share
    return scores.masked_fill(beyond.gather(1, indices.argsort(1)), -torch.inf)
