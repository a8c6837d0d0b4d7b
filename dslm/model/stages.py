"""The one definition of the model: a list of recipes, each for one layer.

`dslm.model.transformer` builds the list as a plain module, `dslm.parallel.pipeline` as DeepSpeed's
pipeline. A layer has the same place in both, hence the same names in a checkpoint, and the same
weights, because each draws them under (seed, place).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dslm.model.block import Block
from dslm.model.config import ModelConfig
from dslm.model.embedding import FinalNorm, Head, Positions, TokenEmbedding, tied_head
from dslm.model.recurrent import RecurrentBlock


@dataclass(frozen=True)
class Stage:
    """How to build and call one layer.

    A stage maps one tensor to one tensor: token ids [B, S] → hidden [B, S, D] → … → scores
    [B, S, V].
    """

    module: type[nn.Module]
    config: ModelConfig
    seed: int
    place: int
    tied: str | None = None
    """Stages that share a name here share one module and its ``embedding.weight``."""
    call: Callable[[Any, Tensor], Tensor] | None = None
    """How to apply the module where calling it is not meant."""

    def build(self) -> nn.Module:
        """Make the layer, its weights drawn under (seed, place) whatever was drawn before."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(layer_seed(self.seed, self.place))
            return self.module(self.config)


def stages(config: ModelConfig, seed: int) -> list[Stage]:
    """The layers of a model in order.

    Args:
        config: its shape, the vocabulary filled in.
        seed: decides all weights.
    """
    embedding: dict[str, Any] = {"module": TokenEmbedding}
    head: dict[str, Any] = {"module": Head}
    if config.tied:
        embedding |= {"tied": "embedding"}
        head = {**embedding, "call": tied_head}
    block = RecurrentBlock if config.recurrent else Block
    middle: list[dict[str, Any]] = [{"module": Positions}] + [{"module": block}] * config.layers
    if config.norm_position == "pre":
        middle += [{"module": FinalNorm}]
    recipes = [embedding, *middle, head]
    return [Stage(config=config, seed=seed, place=i, **recipe) for i, recipe in enumerate(recipes)]


def layer_seed(seed: int, *place: int) -> int:
    """A seed for one place, unrelated to that of any other place or seed."""
    text = "/".join(map(str, (seed, *place))).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1
