"""Scores of the next token of several texts at once: all that is asked of a model that writes.

Each text is read once thanks to what its layers remember: keys and values, or a recurrent state of
fixed size, so that without positions a text has no end. Texts of one length are read together;
those of different lengths go on together, each at its own place. So no text depends on another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from dslm.inference.mistakes import lost
from dslm.model.attention import Cache
from dslm.model.config import ModelConfig
from dslm.model.memory import Memory
from dslm.model.recurrent import State
from dslm.model.transformer import Transformer


class NextToken(Protocol):
    """Some texts, and what a model makes of them."""

    def begin(self) -> Tensor:
        """Read the texts; the scores [B, V] of what follows each, float32."""

    def follow(self, tokens: Sequence[int]) -> Tensor:
        """Each text goes on with a token; the scores [B, V] of what follows then."""

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these texts, in this order; one may come several times."""


class OneStack:
    """The texts of a model that is one stack of blocks.

    When the model's window is full, if it has one, its second half is read again as the new
    beginning.

    Args:
        model: in evaluation mode.
        config: its shape.
        texts: of at least one token each.
        new_tokens: how many follow at most.
        cached: whether layers remember what they have read; else all is read again for each token.
        seen_whole: whether all of a text but the last token is seen whole, as a source.
        measured: whether to note log-probabilities of the tokens given.
    """

    def __init__(
        self,
        model: Transformer,
        config: ModelConfig,
        texts: Sequence[Sequence[int]],
        new_tokens: int,
        *,
        cached: bool = True,
        seen_whole: bool = False,
        measured: bool = False,
    ) -> None:
        self._model, self._config, self._device = model, config, next(model.parameters()).device
        self._reach, self._cached = config.reach, cached
        self._seen_whole, self._measured = seen_whole, measured
        self._windows = [list(text)[-self._reach :] if self._reach else [*text] for text in texts]
        self._new_tokens = new_tokens
        self._memory: list[Memory] = []
        self.given: list[list[float]] = [[] for _ in texts]
        """The log-probability of each token given but the first, if `measured`."""

    @torch.no_grad()
    def begin(self) -> Tensor:
        """See `NextToken`."""
        if self._cached:
            most = max(map(len, self._windows)) + self._new_tokens
            capacity = most if self._reach is None else min(most, self._reach)
            self._memory = caches(self._model, self._config, capacity, len(self._windows))
        return self._read(range(len(self._windows)), self._windows)

    @torch.no_grad()
    def follow(self, tokens: Sequence[int]) -> Tensor:
        """See `NextToken`."""
        full = []
        for row, token in enumerate(tokens):
            window = [*self._windows[row], token]
            if self._reach is not None and len(window) > self._reach:
                window = window[-(self._reach // 2 + 1) :]
                full.append(row)
            self._windows[row] = window
        if not self._cached:
            return self._read(range(len(self._windows)), self._windows)
        if full:
            self._read(full, [self._windows[row][:-1] for row in full])
        step = torch.tensor(tokens, device=self._device)[:, None]
        return finite(self._model(step, self._memory)[:, -1])

    def keep(self, rows: Sequence[int]) -> None:
        """See `NextToken`."""
        if list(rows) != list(range(len(self._windows))):
            self._windows = [self._windows[row] for row in rows]
            for memory in self._memory:
                memory.keep(rows)

    def _read(self, rows: Sequence[int], texts: Sequence[list[int]]) -> Tensor:
        """Read texts from their beginning, to go on with those in some rows."""
        scores: dict[int, Tensor] = {}
        for group in _of_one_length(texts, self._config.sequence):
            tokens = torch.tensor([texts[place] for place in group], device=self._device)
            kept = None
            if self._cached:
                kept = caches(self._model, self._config, tokens.shape[1], len(group))
            if tokens.shape[1]:
                last = self._read_together([rows[place] for place in group], tokens, kept)
                scores |= zip(group, last, strict=True)
            for own, other in zip(self._memory, kept or (), strict=True):
                own.put([rows[place] for place in group], other)
        return (
            torch.stack([scores[place] for place in sorted(scores)]) if scores else torch.empty(0)
        )

    def _read_together(self, rows: list[int], tokens: Tensor, kept: Any) -> Tensor:
        """The scores behind texts [B, S] of one length."""
        if self._seen_whole:
            # What follows sees all before it anyway.
            last = tokens.new_tensor([tokens.shape[1] - 1]).expand(len(rows), 1)
            seen = torch.full_like(tokens, -1).index_fill(1, last[0], 1)
            return finite(self._model((tokens, seen, last), kept)[:, -1])
        # A recurrent model reads a long beginning in pieces; scores of all would fill the memory.
        pieces = torch.split(tokens, self._config.sequence, dim=1) if self._cached else (tokens,)
        done = 0
        for piece in pieces:
            scores = self._model(piece, kept)
            done += piece.shape[1]
            if self._measured:
                following = tokens[:, done - piece.shape[1] + 1 : done + 1]
                for row, found in zip(rows, _measured(scores, following), strict=True):
                    self.given[row] += found
        return finite(scores[:, -1])


def caches(model: Transformer, config: ModelConfig, capacity: int, batch: int = 1) -> list[Memory]:
    """What every block of a model remembers of some texts, of `capacity` tokens at most."""
    weight = next(model.parameters())
    if config.recurrent:
        return [State(config, batch, weight) for _ in range(config.layers)]
    return [Cache(config, batch, capacity, weight) for _ in range(config.layers)]


def _of_one_length(texts: Sequence[list[int]], most: int) -> Iterator[list[int]]:
    """The numbers of texts of one length: several while they have `most` tokens together."""
    lengths: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        lengths.setdefault(len(text), []).append(number)
    for length, numbers in lengths.items():
        count = max(1, most // max(1, length))
        yield from (numbers[start : start + count] for start in range(0, len(numbers), count))


def _measured(scores: Tensor, following: Tensor) -> list[list[float]]:
    """Log-probabilities of the tokens [B, N] that follow the first N positions of [B, S, V]."""
    logs = scores[:, : following.shape[1]].float().log_softmax(-1)
    found: list[list[float]] = logs.gather(2, following[:, :, None])[:, :, 0].tolist()
    return found


def finite(scores: Tensor) -> Tensor:
    """Scores, if all of them are finite."""
    if not scores.isfinite().all():
        raise lost("its scores are not finite")
    return scores.float()
