"""How likely a model finds the continuations of texts: many at once, each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from dslm.inference.next_token import finite
from dslm.inference.trained import Trained
from dslm.train.batches import TOKENS

SCORES = 1 << 27
"""Scores held at once, unless those of one text are more."""


@dataclass(frozen=True)
class Continuation:
    """Tokens whose probability behind others is asked for."""

    given: Sequence[int]
    """What they follow, at least one; of a long one the model sees the end."""
    tokens: Sequence[int]
    """At least one, and no more than the model reaches."""

    def inputs(self, reach: int | None) -> tuple[int, ...]:
        """What a model reads to predict the tokens, which may be less than all of it."""
        read = (*self.given, *self.tokens[:-1])
        return read if reach is None else read[-reach:]


@dataclass(frozen=True)
class Likelihood:
    """What a model says of a continuation."""

    log: float
    """The logarithm of its probability, in nats."""
    greedy: bool
    """Whether each of its tokens is the likeliest one there."""


@torch.no_grad()
def likelihoods(
    trained: Trained,
    continuations: Sequence[Continuation],
    advance: Callable[[int], None] | None = None,
) -> list[Likelihood]:
    """The probability of each continuation.

    Those that differ in their last token alone, such as the letters of a multiple choice, are read
    once. Texts of about one length are read together, padded behind their end, which nothing before
    it sees.

    Args:
        trained: a model that continues texts.
        continuations: in any order.
        advance: called with the number of continuations done.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    reach, found = trained.config.model.reach, dict[int, Likelihood]()
    readers: dict[tuple[int, ...], list[int]] = {}
    for number, one in enumerate(continuations):
        readers.setdefault(one.inputs(reach), []).append(number)
    for texts in _batches(sorted(readers, key=len, reverse=True), trained.config.model.scores):
        rows = [[*text, *[0] * (len(texts[0]) - len(text))] for text in texts]
        scores = trained.model(torch.tensor(rows, device=trained.device))
        for row, text in enumerate(texts):
            asked = {number: continuations[number].tokens for number in readers[text]}
            longest = max(map(len, asked.values()))
            logs = finite(scores[row, len(text) - longest : len(text)]).log_softmax(-1)
            for number, tokens in asked.items():
                own, wanted = logs[-len(tokens) :], torch.tensor(tokens, device=logs.device)
                log = float(own.gather(1, wanted[:, None]).sum())
                found[number] = Likelihood(log, bool((own.argmax(-1) == wanted).all()))
            if advance is not None:
                advance(len(asked))
    return [found[number] for number in range(len(continuations))]


def _batches(texts: Sequence[tuple[int, ...]], scores: int) -> Iterator[Sequence[tuple[int, ...]]]:
    """Texts, the longest first, as many together as the memory is meant for."""
    start = 0
    while start < len(texts):
        longest = len(texts[start])
        count = max(1, min(TOKENS, SCORES // scores) // longest)
        yield texts[start : start + count]
        start += count
