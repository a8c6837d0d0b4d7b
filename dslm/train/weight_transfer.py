"""Which weights a model takes from another one, and which are newly initialized.

The layers of both are compared from the first on. As long as they are alike, every weight that both
have is transferred; from the first difference on all are initialized, as in a run from scratch. So
a model continues with another head, with more layers, or with the first layers of a deeper one. A
head that differs keeps the pooler if both have one, as that of BERT's pairs serves classes, too.
Where one has more rows, as for the ids that an objective adds to a vocabulary, those that both have
are transferred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, takewhile
from math import prod

import torch
from torch import Tensor

from dslm.model.config import ModelConfig
from dslm.model.heads import ClassHead
from dslm.model.initial import Numbers
from dslm.model.low_rank import ADAPTER, merged_numbers
from dslm.model.stages import Stage, stages
from dslm.model.transformer import Transformer
from dslm.model.tuning import ALL, Tuning
from dslm.run.init_from import SourceRun

Shape = tuple[int, ...]


@dataclass(frozen=True)
class WeightTransfer:
    """What becomes of each weight of a model; names are ``INDEX.…``, as in a checkpoint."""

    shapes: dict[str, Shape]
    """All of its weights."""
    rows: dict[str, int]
    """How many rows of each are transferred; the rest is initialized."""
    kinds: dict[str, str]
    """The kind of each layer, by its index."""

    @cached_property
    def transferred(self) -> int:
        """How many numbers are transferred."""
        return sum(self.rows[name] * prod(shape[1:]) for name, shape in self.shapes.items())

    @property
    def initialized(self) -> list[str]:
        """The layers, or the parts of them, that are newly initialized."""
        parts = Counter(
            part for layer in groupby(self.shapes, _layer_index) for part in self._parts(*layer)
        )
        return [f"{count} × {part}" if count > 1 else part for part, count in parts.items()]

    @property
    def drawn_beside_adapters(self) -> list[str]:
        """Those of `initialized` that are neither adapters nor the head of a task."""
        others = {
            name: shape
            for name, shape in self.shapes.items()
            if ADAPTER not in name and self.kinds[_layer_index(name)] != ClassHead.__name__
        }
        return replace(self, shapes=others).initialized

    def _parts(self, index: str, names: Iterator[str]) -> list[str]:
        """What is initialized of one layer."""
        kind, missing = self.kinds[index], dict[str, str]()
        every = list(names)
        for name in every:
            part = name.removeprefix(f"{index}.").rpartition(".")[0]
            more = self.shapes[name][0] - self.rows[name]
            rows = "" if not self.rows[name] else f"{more:,} row{'s' * (more > 1)} of "
            missing |= {part: f"{rows}{kind}.{part}"} if more else {}
        whole = not any(self.rows[name] for name in every)
        return [kind] if whole else list(missing.values())


def compare(before: ModelConfig, model: ModelConfig, tuning: Tuning = ALL) -> WeightTransfer:
    """Compare a model with the one whose weights it takes.

    Args:
        before: the shape of the existing model.
        model: the shape of the new one.
        tuning: the adapters of the new one, which begin anew.
    """
    pairs = zip(stages(before, 0), stages(model, 0), strict=False)
    alike = sum(1 for _ in takewhile(_alike, pairs))
    old, new = _shapes(before), _shapes(model, tuning)
    rows = {
        name: min(old[name][0], shape[0])
        if _shared(name, alike) and name in old and old[name][1:] == shape[1:]
        else 0
        for name, shape in new.items()
    }
    kinds = {str(stage.index): stage.module.__name__ for stage in stages(model, 0)}
    return WeightTransfer(new, rows, kinds)


def initial_weights(transfer: WeightTransfer, drawn: Numbers, stored: Numbers) -> Numbers:
    """The weights of a model that begins with those of another one.

    Args:
        transfer: what becomes of each.
        drawn: those of the new model from scratch, for what is not transferred.
        stored: those of the other model.
    """

    def read(name: str, start: int, stop: int) -> Tensor:
        border = transfer.rows[name] * prod(transfer.shapes[name][1:])
        parts = [stored(name, start, min(stop, border))] if start < border else []
        parts += [drawn(name, max(start, border), stop)] if stop > border else []
        return torch.cat(parts) if parts else torch.empty(0)

    return read


def existing(source: SourceRun, transfer: WeightTransfer, stored: Numbers) -> Numbers:
    """The weights of the run that another begins with, the changes of its adapters added.

    Args:
        source: the run.
        transfer: what becomes of them.
        stored: its checkpoint.
    """
    maps = {*source.lora.maps(source.model, crosses=source.model.encoder_layers > 0)}
    return merged_numbers(stored, transfer.shapes, source.lora, maps)


def _alike(pair: Sequence[Stage]) -> bool:
    old, new = pair
    return (old.module, old.tied) == (new.module, new.tied)


def _shared(name: str, alike: int) -> bool:
    """Whether a weight means the same in two models of which so many layers are alike."""
    index, part, *_ = name.split(".")
    return int(index) < alike or (int(index) == alike and part == "pooler")


def _shapes(config: ModelConfig, tuning: Tuning = ALL) -> dict[str, Shape]:
    """The weights of a model, in the order of its layers."""
    with torch.device("meta"):
        model = Transformer(stages(config, 0, tuning=tuning))
    named = model.layers.named_parameters()
    return {name: tuple(weight.shape) for name, weight in named}


def _layer_index(name: str) -> str:
    return name.partition(".")[0]
