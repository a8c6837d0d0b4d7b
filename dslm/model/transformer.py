"""The stages as one plain module: for one device, for ZeRO at any stage, for generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dslm.model.block import Block
from dslm.model.embedding import Positions
from dslm.model.memory import Memory
from dslm.model.recurrent import RecurrentBlock
from dslm.model.stages import Stage, Value, with_mask


class Transformer(nn.Module):
    """A model built from stages; weights are named ``INDEX.…`` by the index of their stage.

    Args:
        stages: the model, or some consecutive ones of it.
        drawn: whether its weights are drawn; see `Stage.build`.
        owners: the index whose name a tied weight has, by what ties it; the first unless given.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        drawn: bool = True,
        owners: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.calls: list[tuple[str, Stage]] = []
        owned = owners_of(stages) if owners is None else owners
        for stage in stages:
            key = str(owned[stage.tied] if stage.tied else stage.index)
            if key not in self.layers:
                self.layers[key] = stage.build(drawn)
            self.calls.append((key, stage))

    def forward(self, inputs: Value, caches: Sequence[Memory] | None = None) -> Any:
        """Score token ids at every position, or at those selected.

        Args:
            inputs: [B, S] token ids, or these and the extras of the stages.
            caches: one for each block when generating, behind an encoder each of the decoder's;
                the tokens then follow those of each text that it remembers, and the source is not
                given again.

        Returns:
            [B, S, V] scores of the next token for a causal model; see `Stage` for others.
        """
        start = first_call([stage for _, stage in self.calls], caches)
        if start:
            inputs, start = self.layers[self.calls[start][0]](inputs), start + 1
        return self.run(start, inputs, caches)

    def run(self, start: int, value: Value, caches: Sequence[Memory] | None) -> Any:
        """What the layers from a place on make of a value; `caches` has one for each of them."""
        calls = self.calls[start:]
        value = with_mask(value, [stage for _, stage in calls], self.training) if calls else value
        waiting, where = iter(caches or ()), dict[str, Any]()
        for key, stage in calls:
            layer = self.layers[key]
            more: dict[str, Any] = {}
            if caches and stage.config.attention == "causal":
                if isinstance(layer, (Block, Positions)) and not where:
                    hidden: Any = value[0] if isinstance(value, tuple) else value
                    where["position_ids"] = caches[0].places(hidden.shape[1], hidden.device)
                if isinstance(layer, (Block, Positions)):
                    more |= where
                if isinstance(layer, (Block, RecurrentBlock)):
                    more["cache"] = next(waiting)
            value = stage.apply(layer, value, **more)
        return value


def first_call(stages: Sequence[Stage], caches: Sequence[Memory] | None) -> int:
    """The place of the stage with which a model begins.

    Once an encoder has read its source, it has nothing to do any more, and what is given are tokens
    of a target: then that of the embedding before the decoder.
    """
    if not caches or not any(caches[0].lengths):
        return 0
    return next((place for place, stage in enumerate(stages) if "memory" in stage.gives), 0)


def owners_of(stages: Sequence[Stage]) -> dict[str, int]:
    """The index whose name each tied weight has: the first of those that share it."""
    owners: dict[str, int] = {}
    for stage in stages:
        if stage.tied:
            owners.setdefault(stage.tied, stage.index)
    return owners
