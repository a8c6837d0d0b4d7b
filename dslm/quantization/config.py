"""The schemes of quantization, and the settings that choose one; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as validated

from dslm.config.parse import STRICT
from dslm.errors import Problem

Layers = Literal["blocks", "linear", "all"]
GROUP = 32
"""Inputs that share a scale below 8 bits, unless another number is set."""
CALIBRATION_ROWS = 128
"""Rows of text for which weights are rounded unless another number is set, as in the paper."""


@dataclass(frozen=True)
class Scheme:
    """Of how many bits numbers are, and how many of them share a scale."""

    weights: int
    """Bits of a weight."""
    activations: int | None
    """Bits of an input, whose tokens have a scale each; `None` = inputs stay as they are."""
    group: int | None
    """Inputs of an output whose weights share a scale; `None` = all (per channel)."""


SCHEMES = {
    "w8a8": Scheme(8, 8, None),
    "w4a8": Scheme(4, 8, GROUP),
    "w4": Scheme(4, None, GROUP),
    "w3": Scheme(3, None, GROUP),
    "w2": Scheme(2, None, GROUP),
}


@validated(config=STRICT, frozen=True, kw_only=True)
class QuantizationConfig:
    """Training with the numbers rounded that will be stored and computed with few bits."""

    scheme: Literal["none", "w8a8", "w4a8", "w4", "w3", "w2"] = "none"
    """Bits of weights and inputs: w8a8 is 8 and 8, w4 4 with inputs as they are; none = all as
    they are."""
    group_size: Annotated[int, Field(ge=1)] | None = None
    """Inputs of an output whose weights share a scale; null = 32, for w8a8 all of them."""
    layers: Layers = "blocks"
    """Which layers: the linear maps in the blocks; linear = all linear maps, a head of its own
    among them; all = embeddings (and with them a tied head) as well."""
    start_step: Annotated[int, Field(ge=0)] = 0
    """Steps that are trained without rounding first."""

    @property
    def selected(self) -> Scheme | None:
        """The scheme with its size of a group; `None` where nothing is rounded."""
        if self.scheme == "none":
            return None
        scheme = SCHEMES[self.scheme]
        return Scheme(scheme.weights, scheme.activations, self.group_size or scheme.group)

    def rounds(self, step: int) -> bool:
        """Whether a step rounds, the first being step 0."""
        return self.scheme != "none" and step >= self.start_step


def check_quantization(config: QuantizationConfig, inputs: dict[str, int]) -> Iterator[Problem]:
    """What cannot be quantized.

    Args:
        config: the settings.
        inputs: how many inputs the maps of the model have that may be quantized, by the setting
            that decides on the number; empty where the model has none.
    """
    if config.scheme == "none":
        defaults = QuantizationConfig()
        for key in ("group_size", "layers", "start_step"):
            if (value := getattr(config, key)) != getattr(defaults, key):
                rule = "means nothing without a scheme"
                yield Problem(f"quantization.{key}", value, rule, "set quantization.scheme")
        return
    if not inputs:
        rule = "rounds linear maps, which neither recurrent blocks nor experts consist of"
        yield Problem("quantization.scheme", config.scheme, rule, "use a model without these")
    scheme = config.selected
    group = scheme.group if scheme else None
    for key, number in inputs.items():
        if group is not None and number % group:
            fits = [
                size for size in (16, 32, 64, 128) if not any(n % size for n in inputs.values())
            ]
            fix = f"use {' or '.join(map(str, fits))}" if fits else "use a divisor of all widths"
            rule = f"does not divide {key} = {number}"
            yield Problem("quantization.group_size", group, rule, fix)
