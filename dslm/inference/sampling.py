"""How the next token is chosen among the likely ones; settings alone, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dslm.errors import Problem

SEEDS = 1 << 63
"""Seeds are below this."""


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is chosen."""

    temperature: float = 1.0
    """Scores are divided by it; 0 always takes the likeliest token."""
    top_k: int | None = None
    """Only this many of the likeliest tokens (Fan et al. 2018)."""
    top_p: float | None = None
    """Only the likeliest tokens that together reach this probability (Holtzman et al. 2020)."""
    seed: int = 0
    """Decides the draws."""


def check_sampling(sampling: SamplingConfig, new_tokens: int = 0) -> list[Problem]:
    """What is wrong with the settings of sampling.

    Args:
        sampling: the settings.
        new_tokens: how many tokens are asked for.
    """
    problems = []
    if not 0 <= sampling.temperature < math.inf:
        rule, fix = "must be at least 0", "use 0.8, or 0 for the likeliest token"
        problems.append(Problem("--temperature", sampling.temperature, rule, fix))
    if sampling.top_k is not None and sampling.top_k < 1:
        rule, fix = "must be at least 1", "use 50, or leave it out for all tokens"
        problems.append(Problem("--top-k", sampling.top_k, rule, fix))
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        rule, fix = "must be above 0 and at most 1", "use 0.9, or leave it out for all tokens"
        problems.append(Problem("--top-p", sampling.top_p, rule, fix))
    if not 0 <= sampling.seed < SEEDS:
        rule = "must be at least 0 and below 2^63"
        problems.append(Problem("--seed", sampling.seed, rule, "use a small number"))
    if new_tokens < 0:
        rule, fix = "must be at least 0", "use 100"
        problems.append(Problem("--max-new-tokens", new_tokens, rule, fix))
    return problems
