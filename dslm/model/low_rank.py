"""Low-rank changes of matrices that stay as they are (Hu et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dslm.model.initial import ZEROS, Numbers, Uniform, begin
from dslm.model.lora import LoraConfig

ADAPTER = ".lora."
"""What the names of its two matrices have between that of the map and ``a`` or ``b``."""


class LowRank(nn.Module):
    """An adapter: scale × B A, which begins as zero.

    Args:
        inputs: of the map that it changes.
        outputs: of that map.
        config: rank and scale.
    """

    __call__: Callable[..., Tensor]

    def __init__(self, inputs: int, outputs: int, config: LoraConfig) -> None:
        super().__init__()
        self.scale = config.scale
        self.a = nn.Parameter(torch.empty(config.rank, inputs))
        self.b = nn.Parameter(torch.empty(outputs, config.rank))
        begin(self.a, Uniform(1 / math.sqrt(inputs)))  # as a linear map of torch
        begin(self.b, ZEROS)

    def forward(self, inputs: Tensor) -> Tensor:
        """What is added to the outputs […, out] of some inputs […, in]."""
        return F.linear(F.linear(inputs, self.a), self.b) * self.scale


def merged(weights: Mapping[str, Tensor], config: LoraConfig) -> dict[str, Tensor]:
    """The weights of a model with the changes added to those that they change.

    Args:
        weights: by name, those of the adapters as well.
        config: of the run that trained them.
    """
    made = {name: weight for name, weight in weights.items() if ADAPTER not in name}
    for name in weights:
        if name.endswith(f"{ADAPTER}b"):
            changed = f"{name.removesuffix(f'{ADAPTER}b')}.weight"
            a = weights[f"{name.removesuffix('b')}a"]
            made[changed] = made[changed] + config.scale * (weights[name] @ a)
    return made


def merged_numbers(
    read: Numbers, shapes: Mapping[str, tuple[int, ...]], config: LoraConfig, maps: set[str]
) -> Numbers:
    """The same, but any part of any weight.

    Args:
        read: the weights, those of the adapters as well.
        shapes: of the weights that are asked for.
        config: of the run that trained them.
        maps: the names in a block of the maps that have an adapter.
    """

    def read_merged(name: str, start: int, stop: int) -> Tensor:
        numbers = read(name, start, stop)
        layer = name.removesuffix(".weight")
        if layer == name or layer.partition(".")[2] not in maps:
            return numbers
        inputs, rank = prod(shapes[name][1:]), config.rank
        first, last = start // inputs, -(-stop // inputs)
        a = read(f"{layer}{ADAPTER}a", 0, rank * inputs).view(rank, inputs)
        b = read(f"{layer}{ADAPTER}b", first * rank, last * rank).view(-1, rank)
        change = config.scale * (b @ a)
        return numbers + change.flatten()[start - first * inputs : stop - first * inputs]

    return read_merged if config.rank else read
