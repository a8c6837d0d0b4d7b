"""The stages as one plain module: for one device, for ZeRO at any stage, for generation."""

from __future__ import annotations

from collections.abc import Sequence
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
        stages: the model.
        drawn: whether its weights are drawn; see `Stage.build`.
    """

    def __init__(self, stages: Sequence[Stage], drawn: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.calls: list[tuple[str, Stage]] = []
        owners: dict[str | None, str] = {}
        for stage in stages:
            key = owners.get(stage.tied) or str(stage.index)
            if key not in self.layers:
                self.layers[key] = stage.build(drawn)
                if stage.tied:
                    owners[stage.tied] = key
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
        waiting = iter(caches or ())
        calls = self.calls
        if caches and any(caches[0].lengths) and calls[0][1].config.encoder_layers:
            # The source has been read: the ids are of a target, and the encoder has nothing to do.
            inputs, calls = self.layers[calls[0][0]](inputs), calls[self._second + 1 :]
        value = with_mask(inputs, [stage for _, stage in calls], self.training)
        where: dict[str, Any] = {}
        for key, stage in calls:
            layer = self.layers[key]
            more: dict[str, Any] = {}
            if caches and stage.config.attention == "causal":
                if isinstance(layer, Positions):
                    hidden: Any = value[0] if isinstance(value, tuple) else value
                    where["position_ids"] = caches[0].places(hidden.shape[1], hidden.device)
                if isinstance(layer, (Block, Positions)):
                    more |= where
                if isinstance(layer, (Block, RecurrentBlock)):
                    more["cache"] = next(waiting)
            value = stage.apply(layer, value, **more)
        return value

    @property
    def _second(self) -> int:
        """The place of the stage where a decoder begins."""
        return next(place for place, (_, stage) in enumerate(self.calls) if "memory" in stage.gives)
