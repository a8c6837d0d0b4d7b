"""What lm-eval may ask of a run; looked at without torch, before a model is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dslm.errors import DataError, Problem
from dslm.inference.sampling import SamplingConfig, WritingConfig
from dslm.objectives.base import Objective
from dslm.objectives.completion import Continue

NEW_TOKENS = 256
"""How many tokens are written where a task does not say, as for lm-eval's `hf`."""
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What lm-eval calls the greatest number of new tokens; the first that is given counts."""
KNOWN = (
    *("until", "do_sample", "temperature", "top_k", "top_p", "repetition_penalty"),
    *("num_beams", "length_penalty"),
)
"""The other settings of a task that writes."""


def writing(asked: Mapping[str, Any]) -> WritingConfig:
    """What lm-eval's ``generation_kwargs`` ask for; without ``do_sample`` and temperature, greedy.

    Raises:
        DataError: with what no model of ours does.
    """
    if unknown := [name for name in asked if name not in (*KNOWN, *LENGTHS)]:
        rule = "there is no such way of writing here"
        raise DataError(*(Problem(f"generation_kwargs.{n}", asked[n], rule) for n in unknown))
    sampled = asked.get("do_sample")
    temperature = float(asked.get("temperature", 1.0 if sampled else 0.0))
    given = {name: asked.get(name) for name in LENGTHS}
    new_tokens = next((int(n) for n in given.values() if n is not None), NEW_TOKENS)
    until = asked.get("until") or []
    drawn = sampled is not False and temperature > 0
    return WritingConfig(
        SamplingConfig(
            temperature=temperature if drawn else 0.0,
            top_k=asked.get("top_k") or None if drawn else None,
            top_p=asked.get("top_p") if drawn else None,
            repetition_penalty=float(asked.get("repetition_penalty", 1.0)),
            stop=tuple(stop for stop in ([until] if isinstance(until, str) else until) if stop),
            beams=int(asked.get("num_beams", 1)),
            length_penalty=float(asked.get("length_penalty", 1.0)),
        ),
        new_tokens,
    )


def check_objective(objective: Objective, run: str) -> list[Problem]:
    """Whether a model does what all tasks of lm-eval build on: it continues a text.

    Args:
        objective: what it was trained for.
        run: the folder of its run, to name it.
    """
    if isinstance(objective.completion(), Continue):
        return []
    rule = f"was not trained to continue a text (objective.kind = {objective.kind})"
    return [Problem(run, None, rule, "lm-eval needs a run trained with objective.kind=causal")]
