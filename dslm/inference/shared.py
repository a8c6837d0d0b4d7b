"""A model that several ranks hold together, for one that is larger than a device.

Each rank has some consecutive layers. What a model is given is the same on all ranks; it goes
through the layers from rank to rank, and what the last one makes of it is given to all of them. So
whatever uses a model does the same on every rank, and need not know of the others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from dslm.environment import World
from dslm.model.block import Block
from dslm.model.memory import Memory
from dslm.model.recurrent import RecurrentBlock
from dslm.model.stages import Stage, Value, without_mask
from dslm.model.transformer import Transformer, first_call, owners_of
from dslm.parallel.partition import blocks_of_stages
from dslm.parallel.relay import from_rank, receive, send
from dslm.parallel.world import join


class SharedTransformer(Transformer):
    """The layers of one rank, called like the whole model by all ranks at once.

    Args:
        stages: the whole model.
        world: the ranks that share it.
    """

    def __init__(self, stages: Sequence[Stage], world: World) -> None:
        self._world, self._stages = world, stages
        self._firsts = [*_firsts(stages, world.size), len(stages)]
        self._first, last = self._firsts[world.rank : world.rank + 2]
        super().__init__(stages[self._first : last], owners=owners_of(stages))
        before = _remembering(stages[: self._first])
        self._own = slice(before, before + _remembering(stages[self._first : last]))

    def forward(self, inputs: Value, caches: Sequence[Memory] | None = None) -> Any:
        """See `Transformer.forward`; every rank must call it, with the same arguments."""
        rank, last = self._world.rank, self._world.size - 1
        start = first_call(self._stages, caches)
        entered = max(n for n, first in enumerate(self._firsts[:-1]) if first <= start)
        tokens = self._tokens(inputs, start)
        value: Value | None = None
        if rank >= entered:
            value, place = inputs, 0
            if rank > entered:
                value = receive(self._world, rank - 1)
            elif start:
                place = start - self._first
                value, place = self.layers[self.calls[place][0]](inputs), place + 1
            value = self.run(place, value, caches and caches[self._own])
            if rank < last:
                send(self._world, without_mask(value), rank + 1)
        for number, cache in enumerate(caches or ()):
            if not self._own.start <= number < self._own.stop:
                cache.advance(tokens)  # as those of the rank whose layer it is
        return from_rank(self._world, value, last)

    def _tokens(self, inputs: Value, start: int) -> int:
        """How many tokens of each text are read, of a target if there is one."""
        extras = self._stages[0].extras_in
        place = extras.index("targets") + 1 if "targets" in extras and not start else 0
        read: Any = inputs[place] if isinstance(inputs, tuple) else inputs
        return int(read.shape[1])


def join_quietly(world: World) -> None:
    """Join the other ranks; what compilers print while DeepSpeed looks for them is not shown."""
    sys.stderr.flush()
    shown, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        join(world)
    finally:
        os.dup2(shown, 2)
        os.close(shown)
        os.close(nowhere)


def _firsts(stages: Sequence[Stage], ranks: int) -> list[int]:
    """The place of each rank's first layer: as many blocks for each as can be."""
    blocks = [n for n, stage in enumerate(stages) if stage.module in (Block, RecurrentBlock)]
    counts = blocks_of_stages(len(blocks), ranks)
    return [0, *(blocks[sum(counts[:rank])] for rank in range(1, ranks))]


def _remembering(stages: Sequence[Stage]) -> int:
    """How many of some stages have a cache when texts are written."""
    return sum(
        stage.module in (Block, RecurrentBlock) and stage.config.attention == "causal"
        for stage in stages
    )
