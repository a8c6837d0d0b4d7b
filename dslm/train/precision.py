"""What a user reads of a run's precision, before it starts and where it is only planned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dslm.model.float8 import split
from dslm.parallel.deepspeed_json.precision import master_size, precision, sum_size
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
    left = f"{', '.join(others)} (for their size), " if others else ""
    yield f"in bf16: {left}head and embeddings"
    if cpu:
        yield "emulated on a CPU: rounded alike, and slower than bf16"


def compile_lines(config: RunConfig) -> Iterator[str]:
    """What is compiled and when, if anything is."""
    if config.compile:
        yield (
            "each block by itself, in the first step and at the first measurement or checkpoint; "
            "torch keeps it for the next run"
        )


def sums_note(deepspeed: Mapping[str, Any], accumulation: int) -> Iterator[str]:
    """What to say where micro-batches are added up in bfloat16 beside float32 masters.

    Args:
        deepspeed: DeepSpeed's JSON, checked.
        accumulation: micro-batches of a step.
    """
    halved = precision(deepspeed) == "bf16" and sum_size(deepspeed) == 2
    if halved and accumulation > 1 and master_size(deepspeed) == 4:
        yield (
            "micro-batches are summed in bf16; precision=bf16, or data_types.grad_accum_dtype "
            "= fp32 in DeepSpeed's JSON, sums them in float32"
        )
