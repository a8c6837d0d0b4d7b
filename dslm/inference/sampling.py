"""How the next tokens are chosen among the likely ones; settings alone, without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from dslm.errors import Problem

SEEDS = 1 << 63
"""Seeds are below this."""


@dataclass(frozen=True)
class SamplingConfig:
    """How the next tokens are chosen, and when a text ends."""

    temperature: float = 1.0
    """Scores are divided by it; 0 always takes the likeliest token."""
    top_k: int | None = None
    """Only this many of the likeliest tokens (Fan et al. 2018)."""
    top_p: float | None = None
    """Only the likeliest tokens that together reach this probability (Holtzman et al. 2020)."""
    seed: int = 0
    """Decides the draws."""
    repetition_penalty: float = 1.0
    """Scores of tokens that the text has are divided by it, negative ones multiplied (Keskar et al.
    2019, section 4.1)."""
    samples: int = 1
    """Texts that are drawn for a prompt; each is a function of seed, prompt and its number."""
    stop: tuple[str, ...] = ()
    """A text ends before the first of these, wherever the borders of tokens are."""
    beams: int = 1
    """Texts that are followed at once, to find the likeliest; 1 = no beam search."""
    length_penalty: float = 1.0
    """The log-probability of a beam is divided by its length to this power (after Wu et al. 2016,
    section 7): above 0 it favours longer texts."""


@dataclass(frozen=True)
class WritingConfig:
    """How texts are written that are measured."""

    sampling: SamplingConfig = field(default_factory=lambda: SamplingConfig(temperature=0.0))
    """How tokens are chosen: the likeliest."""
    new_tokens: int = 128
    """How many are written at most."""
    together: int = 16
    """Texts that are written at once."""


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
    if not 0 < sampling.repetition_penalty < math.inf:
        rule, fix = "must be above 0", "use 1.2, or leave it out for none"
        problems.append(Problem("--repetition-penalty", sampling.repetition_penalty, rule, fix))
    if new_tokens < 0:
        rule, fix = "must be at least 0", "use 100"
        problems.append(Problem("--max-new-tokens", new_tokens, rule, fix))
    if "" in sampling.stop:
        problems.append(Problem("--stop", "", "must not be empty", "leave it out"))
    return problems + _check_counts(sampling)


def _check_counts(sampling: SamplingConfig) -> list[Problem]:
    """What is wrong with how many texts are followed and written."""
    problems, beams, drawn = [], sampling.beams, sampling.temperature > 0
    for option, count in (("--beams", beams), ("--samples", sampling.samples)):
        if count < 1:
            problems.append(Problem(option, count, "must be at least 1", "leave it out for one"))
    if not math.isfinite(sampling.length_penalty):
        rule = "must be a finite number"
        problems.append(Problem("--length-penalty", sampling.length_penalty, rule, "use 1"))
    few = sampling.top_k is not None or sampling.top_p is not None
    if beams > 1 and (drawn or few or sampling.samples > 1):
        rule = "a beam search finds the likeliest text and draws nothing"
        fix = "leave out --temperature, --top-k, --top-p and --samples, or --beams"
        problems.append(Problem("--beams", beams, rule, fix))
    if beams == 1 and sampling.length_penalty != 1:
        rule, fix = "compares the texts of a beam search", "add --beams 4, or leave it out"
        problems.append(Problem("--length-penalty", sampling.length_penalty, rule, fix))
    if sampling.samples > 1 and beams == 1 and not drawn:
        rule, fix = "all would be the same with --temperature 0", "raise the temperature"
        problems.append(Problem("--samples", sampling.samples, rule, fix))
    return problems
