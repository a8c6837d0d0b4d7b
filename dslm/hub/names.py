"""The weights of a model under our names and under theirs, joined, split and turned.

Ours keep what is multiplied together in one matrix (queries, keys and values; the two entries of
SwiGLU) as [outputs, inputs]; what others do differently is in a family's table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from math import prod

import torch
from torch import Tensor

from dslm.hub.family import Family
from dslm.model.block import Block
from dslm.model.config import ModelConfig
from dslm.model.embedding import Head, TokenEmbedding
from dslm.model.stages import stages
from dslm.model.transformer import Transformer


@dataclass(frozen=True)
class Weight:
    """One of our weights, and the tensors of theirs it is made of."""

    ours: str
    """``LAYER.…``, as in a checkpoint."""
    theirs: tuple[str, ...]
    rows: tuple[int, ...]
    """How many rows of ours each of theirs is."""
    shape: tuple[int, ...]
    turned: bool
    """Whether theirs is transposed."""
    heads: int = 0
    """Of how many heads theirs has queries, keys and values one after the other, if it does."""
    unused: int = 0
    """Rows of theirs before the first of ours."""

    @property
    def stacked(self) -> int:
        """How many axes rows lie along: two where each of several experts has its own."""
        return 2 if len(self.shape) == 3 else 1

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Their tensors and their shapes."""
        for name, rows in zip(self.theirs, self.rows, strict=True):
            shape = (self.unused + rows, *self.shape[self.stacked :])
            yield name, shape[::-1] if self.turned else shape

    def join(self, read: Callable[[str], Tensor]) -> Tensor:
        """Ours, of theirs."""
        parts = [read(name)[self.unused :] for name in self.theirs]
        ours = torch.cat([part.T if self.turned else part for part in parts])
        return self._exchanged(ours, (self.heads, 3)).reshape(self.shape)

    def split(self, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Theirs, of ours."""
        for name, part in self.parts(weight):
            made = torch.cat([part.new_zeros(self.unused, *part.shape[1:]), part])
            yield name, (made.T if self.turned else made).contiguous()

    def parts(self, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The rows of ours that theirs are made of."""
        weight = weight.flatten(0, self.stacked - 1)
        weight = self._exchanged(weight, (3, self.heads))
        yield from zip(self.theirs, torch.split(weight, list(self.rows)), strict=True)

    def _exchanged(self, weight: Tensor, parts: Sequence[int]) -> Tensor:
        """Rows in the other order of heads and kinds, if there are two orders."""
        if not self.heads:
            return weight
        return weight.view(*parts, -1, *weight.shape[1:]).transpose(0, 1).reshape(weight.shape)


def weights(family: Family, config: ModelConfig) -> list[Weight]:
    """Every weight of a model, in the order of its layers; tied ones once."""
    layers = stages(config, seed=0)
    with torch.device("meta"):
        model = Transformer(layers)
    second = next((stage.index for stage in layers if "memory" in stage.gives), 0)
    found, blocks = [], {True: count(), False: count()}
    for index, layer in model.layers.items():
        encoder = int(index) < second
        table = (family.encoder if encoder else family.names).get(type(layer), {})
        block = next(blocks[encoder]) if isinstance(layer, Block) else 0
        for name, parameter in layer.named_parameters():
            part, _, kind = name.rpartition(".")
            how, ours, shape = table[part], f"{index}.{name}", tuple(parameter.shape)
            stems = how.gated if how.gated and config.gated else how.names
            experts, rows = (shape[0], prod(shape[:2])) if len(shape) == 3 else (1, shape[0])
            theirs = tuple(
                f"{stem.format(block, expert)}.{kind}"
                for expert in range(experts)
                for stem in stems
            )
            split = _rows(config, ours, rows, len(theirs))
            turned = how.transposed and len(shape) == 2
            heads = (config.heads or 0) if how.by_head else 0
            found.append(Weight(ours, theirs, split, shape, turned, heads, how.unused))
    return found


def copies(family: Family, config: ModelConfig) -> dict[str, str]:
    """Their tensors that are others once more, the head's where it has no weight of its own."""
    if not config.tied:
        return {**family.shared}
    (head,), (embedding,) = (
        [f"{part.names[0]}.weight" for part in {**family.encoder, **family.names}[layer].values()]
        for layer in (Head, TokenEmbedding)
    )
    return {head: embedding, **family.twins, **family.shared}


def _rows(config: ModelConfig, ours: str, rows: int, parts: int) -> tuple[int, ...]:
    """How the rows of one of our weights are shared out among theirs."""
    if parts > 1 and ".attention.project." in ours:
        return config.query_width, config.group_width, config.group_width
    return (rows // parts,) * parts
