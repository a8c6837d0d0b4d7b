"""Which linear maps are computed in 8-bit floats, and how they are scaled; no torch.

A product in float8 is twice as fast as in bfloat16, but scaling and casting its factors costs time,
so that small products lose. The limits are those of torchao's ``_auto_filter_for_recipe``, measured
on H100s; multiples of 16 are what the hardware asks for. Only the maps of the blocks are
candidates: heads, embeddings and the maps of a bottleneck stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT
from dslm.errors import Problem
from dslm.model.config import ModelConfig

UNIT = 16
"""What the numbers of inputs and outputs must be multiples of."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class Float8Config:
    """Training with products of 8-bit floats (only for `precision` = fp8)."""

    recipe: Literal["tensorwise", "rowwise"] = "tensorwise"
    """What shares a scale: a whole matrix (the fastest), or a row (the most exact; larger layers
    are needed to gain)."""
    narrowest: Annotated[int, Field(ge=1)] | None = None
    """Linear maps with fewer inputs or outputs stay in bfloat16; null = those that would lose time
    on an H100."""

    def takes(self, inputs: int, outputs: int) -> bool:
        """Whether a linear map of a block is computed in float8."""
        if inputs % UNIT or outputs % UNIT:
            return False
        if self.narrowest is not None:
            return min(inputs, outputs) >= self.narrowest
        if self.recipe == "tensorwise":
            return outputs > 1024 or inputs > 4096
        return inputs > 1024 and outputs > 2048 and (inputs > 2048 or outputs > 4096)


def block_maps(model: ModelConfig) -> dict[str, tuple[int, int]]:
    """The inputs and outputs of a block's linear maps, by their names in it."""
    if model.recurrent:
        return {}
    width, inner = model.width, model.inner_width
    queries, projected = model.query_width, model.query_width + 2 * model.group_width
    widened = (2 if model.gated else 1) * inner
    attention = {"attention.project": (width, projected), "attention.output": (queries, width)}
    if model.experts:  # which are no linear maps of their own
        return attention
    return {
        **attention,
        "feed_forward.enter": (width, widened),
        "feed_forward.leave": (inner, width),
    }


def split(config: Float8Config, model: ModelConfig) -> tuple[list[str], list[str]]:
    """The names of a block's linear maps that are computed in float8, and of the others."""
    maps = block_maps(model)
    taken = [name for name, size in maps.items() if config.takes(*size)]
    return taken, [name for name in maps if name not in taken]


def check_float8(config: Float8Config, model: ModelConfig, used: bool) -> Iterator[Problem]:
    """What contradicts itself.

    Args:
        config: the settings.
        model: the model's shape.
        used: whether `precision` is fp8.
    """
    if not used:
        for key in ("recipe", "narrowest"):
            if (value := getattr(config, key)) != getattr(Float8Config(), key):
                rule = "means nothing without precision=fp8"
                yield Problem(f"float8.{key}", value, rule, "leave it out")
    elif model.encoder_layers:
        rule = "does not go with model.encoder_layers"
        yield Problem("precision", "fp8", rule, "use precision=bf16")
    elif model.experts:
        rule = "does not go with model.experts"
        yield Problem("precision", "fp8", rule, "use precision=bf16")
    elif model.recurrent:
        rule = "needs linear maps, of which recurrent blocks have none"
        yield Problem("precision", "fp8", rule, "use precision=bf16")
    elif not split(config, model)[0]:
        sizes = ", ".join(f"{n} → {m}" for n, m in dict.fromkeys(block_maps(model).values()))
        rule = f"no linear map of the blocks ({sizes}) is wide enough to gain by it"
        if all(n % UNIT or m % UNIT for n, m in block_maps(model).values()):
            rule = f"the linear maps ({sizes}) are not of multiples of {UNIT}"
        fix = "use precision=bf16; float8.narrowest=… takes narrower ones, for trying it out"
        yield Problem("precision", "fp8", rule, fix)
