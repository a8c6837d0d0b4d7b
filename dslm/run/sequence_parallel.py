"""Whether rows can be shared by as many ranks as `RunConfig.sequence_parallel` says."""

from __future__ import annotations

from collections.abc import Iterator

from dslm.errors import Problem
from dslm.model.config import ModelConfig
from dslm.tasks.registry import ObjectiveConfig

KEY = "sequence_parallel"


def sequence_sizes(ranks: int, model: ModelConfig, objective: ObjectiveConfig) -> list[int]:
    """How many of some ranks can share each row."""
    sizes = (size for size in range(1, ranks + 1) if ranks % size == 0)
    return [size for size in sizes if not [*check_sequence_parallel(size, model, objective)]]


def check_sequence_parallel(
    size: int, model: ModelConfig, objective: ObjectiveConfig
) -> Iterator[Problem]:
    """What cannot be cut evenly, with the numbers of ranks with which all of it can."""
    if size == 1:
        return
    if model.recurrent:
        rule = f"is not possible with model.block = {model.block!r}, which reads token after token"
        yield Problem(KEY, size, rule, "leave it out")
        return
    if not objective.selected.divisible:
        rule = f"is not possible with objective.kind = {objective.kind}, which compares all tokens"
        yield Problem(KEY, size, f"{rule} of a row with each other", "leave it out")
        return
    parts = {"model.sequence": model.sequence, "model.heads": model.heads or 1}
    if model.head_width:
        parts["model.width"] = model.width
    if model.bottleneck_length:
        parts["model.bottleneck_length"] = model.bottleneck_length
    wrong = [f"{key} = {number}" for key, number in parts.items() if number % size]
    if wrong:
        legal = [n for n in range(1, size) if not any(number % n for number in parts.values())]
        use = " or ".join(map(str, legal[-2:]))
        fix = f"use {use}, or a shape that {size} divides"
        yield Problem(KEY, size, f"does not divide {' and '.join(wrong)}", fix)
