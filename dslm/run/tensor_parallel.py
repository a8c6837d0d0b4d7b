"""Whether as many ranks can share each matrix as `RunConfig.tensor_parallel` says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dslm.errors import Problem
from dslm.run.config import RunConfig

KEY = "tensor_parallel"


def tensor_sizes(config: RunConfig, ranks: int) -> list[int]:
    """How many of some ranks can share each layer of a model."""
    sizes = (size for size in range(1, ranks + 1) if ranks % size == 0)
    asked = (replace(config, tensor_parallel=size) for size in sizes)
    return [one.tensor_parallel for one in asked if not [*check_tensor_parallel(one)]]


def check_tensor_parallel(config: RunConfig) -> Iterator[Problem]:
    """What cannot be cut, or not evenly; with the numbers of ranks with which all of it can."""
    size, model = config.tensor_parallel, config.model
    if size == 1:
        return
    whole = {
        "model.block": model.block if model.recurrent else None,
        "precision": "fp8" if config.precision == "fp8" else None,
        "quantization.scheme": None
        if config.quantization.scheme == "none"
        else config.quantization.scheme,
        "lora.rank": config.lora.rank or None,
    }
    for key, value in whole.items():
        if value is not None:
            rule = f"needs whole matrices, which {KEY} = {size} cuts"
            yield Problem(key, value, rule, f"leave out one of the two, or give {KEY}=1")
    parts = {"model.heads": model.heads or 1, "model.feed_forward": model.inner_width}
    if (ranks := config.sequence_parallel) > 1 and not parts["model.heads"] % ranks:
        own = parts.pop("model.heads") // ranks
        parts = {f"model.heads / {ranks} sequence ranks": own, **parts}
    if model.key_value_heads is not None:
        parts["model.key_value_heads"] = model.key_value_heads
    wrong = [f"{key} = {number}" for key, number in parts.items() if number % size]
    if wrong and not model.recurrent:
        legal = [n for n in range(1, size) if not any(number % n for number in parts.values())]
        use = " or ".join(map(str, legal[-2:]))
        fix = f"use {use}, or a shape that {size} divides"
        yield Problem(KEY, size, f"does not divide {' and '.join(wrong)}", fix)
