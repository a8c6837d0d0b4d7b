"""Which weights of one model another one begins with, and which it draws.

The stages of both are compared from the first on. As long as they are of one kind, every weight is
taken that both have; from the first difference on all are drawn, as in a run without a start. So a
model goes on with another head, with more layers, or with the first layers of a deeper one. Where
one has more rows, as for the ids that an objective adds to a vocabulary, those of both are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby, takewhile
from math import prod

import torch
from torch import Tensor

from dslm.model.config import ModelConfig
from dslm.model.stages import Stage, stages
from dslm.model.transformer import Transformer

Read = Callable[[str], Tensor]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class WeightTransfer:
    """What becomes of each weight of a model; names are ``PLACE.…``, as in a checkpoint."""

    shapes: dict[str, Shape]
    """All of its weights."""
    rows: dict[str, int]
    """How many rows of each are taken; the rest is drawn."""
    kinds: dict[str, str]
    """The kind of the layer at each place."""

    @cached_property
    def taken(self) -> int:
        """How many numbers are taken."""
        return sum(self.rows[name] * prod(shape[1:]) for name, shape in self.shapes.items())

    @property
    def drawn(self) -> list[str]:
        """The layers, or the parts of them, that are drawn."""
        told = Counter(
            part for index in groupby(self.shapes, _place) for part in self._parts(*index)
        )
        return [f"{count} × {part}" if count > 1 else part for part, count in told.items()]

    def _parts(self, index: str, names: Iterator[str]) -> list[str]:
        """What is drawn of one layer."""
        kind, missing = self.kinds[index], dict[str, str]()
        every = list(names)
        for name in every:
            part = name.removeprefix(f"{index}.").rpartition(".")[0]
            more = self.shapes[name][0] - self.rows[name]
            rows = "" if not self.rows[name] else f"{more:,} row{'s' * (more > 1)} of "
            missing |= {part: f"{rows}{kind}.{part}"} if more else {}
        whole = not any(self.rows[name] for name in every)
        return [kind] if whole else list(missing.values())


def transferred(before: ModelConfig, model: ModelConfig) -> WeightTransfer:
    """Compare a model with the one whose weights it begins with.

    Args:
        before: the shape of the one that is there.
        model: the shape of the one to be made.
    """
    pairs = zip(stages(before, 0), stages(model, 0), strict=False)
    shared = {str(new.index) for _, new in takewhile(_alike, pairs)}
    old, new = _shapes(before), _shapes(model)
    rows = {
        name: min(old[name][0], shape[0])
        if _place(name) in shared and name in old and old[name][1:] == shape[1:]
        else 0
        for name, shape in new.items()
    }
    kinds = {str(stage.index): stage.module.__name__ for stage in stages(model, 0)}
    return WeightTransfer(new, rows, kinds)


def first_weights(
    share: WeightTransfer, layers: Sequence[Stage], stored: Callable[[int], Read]
) -> Callable[[int], Read]:
    """The weights of a model that begins with those of another one.

    Args:
        share: what becomes of each.
        layers: the model; they draw what is not taken.
        stored: from a place to what gives the other one's weights by name.

    Returns:
        The same for this model.
    """

    def layer(index: int) -> Read:
        before = stored(index)

        @lru_cache(maxsize=1)
        def drawn() -> dict[str, Tensor]:
            named = layers[index].build().named_parameters()
            return {f"{index}.{name}": weight.detach() for name, weight in named}

        def read(name: str) -> Tensor:
            rows, all_rows = share.rows[name], share.shapes[name][0]
            if not rows:
                return drawn()[name]
            taken = before(name)[:rows]
            return taken if rows == all_rows else torch.cat([taken, drawn()[name][rows:]])

        return read

    return layer


def _alike(pair: Sequence[Stage]) -> bool:
    old, new = pair
    return (old.module, old.tied) == (new.module, new.tied)


def _shapes(config: ModelConfig) -> dict[str, Shape]:
    """The weights of a model, in the order of its layers."""
    with torch.device("meta"):
        model = Transformer(stages(config, 0))
    named = model.layers.named_parameters()
    return {name: tuple(weight.shape) for name, weight in named}


def _place(name: str) -> str:
    return name.partition(".")[0]
