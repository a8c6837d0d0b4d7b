"""Texts written token by token, several at once: the loop, and what comes out of it.

A `Search` says with which texts to go on and by which tokens; it knows no model. A `NextToken`
scores; it chooses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from dslm.inference.choice import choose, penalized, stream_of
from dslm.inference.next_token import NextToken
from dslm.inference.sampling import SamplingConfig
from dslm.inference.tail import Decode, Tail

Told = Callable[[str], None]
"""Called with each piece of a text that has been written for good."""
End = Literal["end of document", "stop string", "length"]
Chosen = tuple[list[int], list[int]]
"""The rows with which to go on, and the token that each goes on with."""


@dataclass
class Written:
    """A text behind a prompt."""

    prompt: int
    """The number of the prompt."""
    sample: int = 0
    """Its number among the texts of the prompt."""
    tokens: list[int] = field(default_factory=list)
    """Without the mark of the document's end."""
    logs: list[float] = field(default_factory=list)
    """The model's log-probability of each, before any penalty or temperature."""
    end: End = "length"
    """Why it ends."""
    text: str = ""
    """What the tokens stand for, up to a stop string."""
    score: float | None = None
    """Of a beam search: the log-probability, divided by the length to the power of the penalty."""


@dataclass(frozen=True)
class Task:
    """What is to be written, whatever the model."""

    decode: Decode
    """Makes a text of ids."""
    prompts: Sequence[Sequence[int]]
    """The ids with which each text begins."""
    shown: Sequence[Sequence[int]]
    """Those of them that stand for text behind which the new text stands."""
    limits: Sequence[int]
    """How many tokens at most, of each."""
    never: Tensor
    """[V], which ids are never written."""
    end: int | None
    """The id that ends a text."""
    sampling: SamplingConfig
    ended: Callable[[], None] = lambda: None
    """Called for each text that has ended."""
    sources: Sequence[Sequence[int]] | None = None
    """What an encoder reads of each prompt, if there is one: no part of the text."""
    forced: Sequence[int] = ()
    """Ids with which every text is made to begin, whatever the model says."""

    def allowed(self, scores: Tensor, texts: Sequence[tuple[int, Sequence[int]]]) -> Tensor:
        """Scores [B, V] with those of tokens that must not be written at minus infinity.

        Args:
            scores: of what follows each text.
            texts: the prompt of each, and what has been written behind it.
        """
        found = scores.masked_fill(self.never, -torch.inf)
        whole = ([*self.prompts[prompt], *tokens] for prompt, tokens in texts)
        found = penalized(found, whole, self.sampling.repetition_penalty)
        for row, (_, tokens) in enumerate(texts):
            if len(tokens) < len(self.forced):
                found[row] = -torch.inf
                found[row, self.forced[len(tokens)]] = 0.0
        return found

    def draws(self, prompt: int, sample: int) -> torch.Generator:
        """The random numbers of a sample of a prompt."""
        source = self.sources[prompt] if self.sources else ()
        return stream_of(self.sampling.seed, [*source, *self.prompts[prompt]], sample)

    def tail(self, prompt: int) -> Tail:
        """The text behind a prompt, of which nothing is there yet."""
        return Tail(self.decode, self.shown[prompt], self.sampling.stop)


class Search(Protocol):
    """A way to choose tokens."""

    def begin(self) -> list[int]:
        """The prompt of each text with which to begin; one may come several times."""

    def choose(self, scores: Tensor) -> Chosen:
        """What follows the texts that go on, whose scores are [B, V]; nothing in the end."""


def write(model: NextToken, search: Search) -> None:
    """Write until the search ends."""
    scores, rows = model.begin(), search.begin()
    if rows:
        model.keep(rows)
        scores = scores[rows]
    while rows:
        rows, tokens = search.choose(scores)
        if rows:
            model.keep(rows)
            scores = model.follow(tokens)


class Drawn:
    """Each text goes on by itself with the likeliest token or one that is drawn.

    Args:
        task: what is to be written.
        told: takes the text of the first one, piece by piece.
    """

    def __init__(self, task: Task, told: Told | None = None) -> None:
        self._task, self._told = task, told
        count = range(task.sampling.samples)
        self.written = [Written(p, n) for p in range(len(task.prompts)) for n in count]
        self._tails = [task.tail(one.prompt) for one in self.written]
        self._draws = [task.draws(one.prompt, one.sample) for one in self.written]
        self._going = [n for n, one in enumerate(self.written) if task.limits[one.prompt] > 0]

    def begin(self) -> list[int]:
        """See `Search`."""
        return [self.written[number].prompt for number in self._going]

    def choose(self, scores: Tensor) -> Chosen:
        """See `Search`."""
        task, going = self._task, self._going
        texts = [(one.prompt, one.tokens) for one in map(self.written.__getitem__, going)]
        allowed = task.allowed(scores, texts)
        draws = [
            torch.rand((), generator=self._draws[n], dtype=torch.float64).item() for n in going
        ]
        tokens = choose(allowed, task.sampling, draws)
        chosen = torch.tensor(tokens, device=scores.device)[:, None]
        logs = (scores.gather(1, chosen)[:, 0] - scores.logsumexp(-1)).tolist()
        rows = [r for r, n in enumerate(going) if self._goes_on(n, tokens[r], logs[r])]
        self._going = [going[row] for row in rows]
        return rows, [tokens[row] for row in rows]

    def _goes_on(self, number: int, token: int, log: float) -> bool:
        """Add a token to a text; whether the text goes on."""
        task, one, tail = self._task, self.written[number], self._tails[number]
        new = ""
        if token == task.end:
            one.end = "end of document"
        else:
            one.tokens.append(token)
            one.logs.append(log)
            new = tail.add(token)
            if tail.stopped:
                one.end = "stop string"
        goes_on = one.end == "length" and len(one.tokens) < task.limits[one.prompt]
        if not goes_on:
            new += tail.finish()
            if tail.stopped:
                one.end = "stop string"
            one.text = tail.text
            task.ended()
        if new and self._told is not None and number == 0:
            self._told(new)
        return goes_on
