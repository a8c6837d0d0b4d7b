"""The stages as one plain module: for one device, for ZeRO at any stage, for generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from dslm.model.attention import Cache
from dslm.model.block import Block
from dslm.model.embedding import Positions
from dslm.model.recurrent import RecurrentBlock, State
from dslm.model.stages import Stage


class Transformer(nn.Module):
    """A model built from stages; weights are named ``PLACE.…`` by the place of their stage."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.calls: list[tuple[str, Callable[[Any, Tensor], Tensor] | None]] = []
        owners: dict[str | None, str] = {}
        for stage in stages:
            key = owners.get(stage.tied) or str(stage.place)
            if key not in self.layers:
                self.layers[key] = stage.build()
                if stage.tied:
                    owners[stage.tied] = key
            self.calls.append((key, stage.call))

    def forward(self, tokens: Tensor, caches: Sequence[Cache | State] | None = None) -> Tensor:
        """Score the next token at every place.

        Args:
            tokens: [B, S] token ids.
            caches: one for each block when generating; `tokens` then follow those cached.

        Returns:
            [B, S, V].
        """
        waiting = iter(caches or ())
        value = tokens
        for key, call in self.calls:
            layer = self.layers[key]
            if call is not None:
                value = call(layer, value)
            elif caches and isinstance(layer, (Block, RecurrentBlock)):
                value = layer(value, next(waiting))
            elif caches and isinstance(layer, Positions):
                value = layer(value, caches[0].length)
            else:
                value = layer(value)
        return value
