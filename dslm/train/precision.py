"""What a user reads of a run's precision, before it starts and where it is only planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dslm.model.float8 import split
from dslm.parallel.deepspeed_json.precision import precision
from dslm.run.config import RunConfig


def precision_of(config: RunConfig, deepspeed: Mapping[str, Any]) -> str:
    """In what the forward pass computes: fp32, bf16, bf16_autocast, fp16 or fp8."""
    return "fp8" if config.precision == "fp8" else precision(deepspeed)


def float8_lines(config: RunConfig, cpu: bool) -> Iterator[str]:
    """Which layers compute in 8-bit floats and which fall back, if any do.

    Args:
        config: the settings.
        cpu: whether the ranks compute without an accelerator.
    """
    if config.precision != "fp8":
        return
    taken, others = split(config.float8, config.model)
    blocks = config.model.blocks
    count = f"{blocks * len(taken)} of {blocks * (len(taken) + len(others))}"
    yield f"{config.float8.recipe}: {count} linear maps of the blocks ({', '.join(taken)})"
    narrow = f"{', '.join(others)} (too narrow to gain), " if others else ""
    yield f"in bf16: {narrow}head and embeddings"
    if cpu:
        yield "emulated on a CPU: rounded alike, and slower than bf16"
