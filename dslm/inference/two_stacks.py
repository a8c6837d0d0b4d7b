"""Scores of what a decoder writes next, behind sources that an encoder has read.

All sources are read together, shorter ones with padding that nothing sees; each text then begins
with the mark that begins a target, so that all of them stay of one length.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from dslm.inference.next_token import caches, finite
from dslm.model.config import ModelConfig
from dslm.model.memory import Memory
from dslm.model.transformer import Transformer


class TwoStacks:
    """The texts of an encoder–decoder; see `dslm.inference.next_token.NextToken`.

    Args:
        model: in evaluation mode.
        config: its shape.
        sources: of at least one token each.
        begin: the id with which each text begins.
        new_tokens: how many follow at most; the decoder has places for these and `begin`.
        cached: whether layers remember what they have read; else all is read again for each token.
    """

    def __init__(
        self,
        model: Transformer,
        config: ModelConfig,
        sources: Sequence[Sequence[int]],
        begin: int,
        new_tokens: int,
        *,
        cached: bool = True,
    ) -> None:
        self._model, self._device = model, next(model.parameters()).device
        longest = max(map(len, sources))
        rows = [[*source, *[0] * (longest - len(source))] for source in sources]
        self._sources = torch.tensor(rows, device=self._device)
        lengths = torch.tensor([len(source) for source in sources], device=self._device)
        self._visibility = -(torch.arange(longest, device=self._device) < lengths[:, None]).long()
        self._texts = torch.full((len(sources), 1), begin, device=self._device)
        self._memory: list[Memory] = []
        if cached:
            self._memory = caches(model, config, new_tokens + 1, len(sources))

    @torch.no_grad()
    def begin(self) -> torch.Tensor:
        """See `NextToken`."""
        read = self._sources, self._visibility, self._texts
        return finite(self._model(read, self._memory or None)[:, -1])

    @torch.no_grad()
    def follow(self, tokens: Sequence[int]) -> torch.Tensor:
        """See `NextToken`."""
        step = torch.tensor(tokens, device=self._device)[:, None]
        if self._memory:
            return finite(self._model(step, self._memory)[:, -1])
        self._texts = torch.cat([self._texts, step], dim=1)
        return self.begin()

    def keep(self, rows: Sequence[int]) -> None:
        """See `NextToken`."""
        if list(rows) == list(range(len(self._texts))):
            return
        chosen = list(rows)
        self._texts = self._texts[chosen]
        self._sources, self._visibility = self._sources[chosen], self._visibility[chosen]
        for memory in self._memory:
            memory.keep(rows)
