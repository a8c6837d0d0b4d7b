"""A look inside a model while it reads one text: attention, logit lens, surprisal, saliency."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from dslm.inference.trained import Trained
from dslm.inspection.attention import Attention, AttentionWeights, attention_of
from dslm.inspection.likelihood import inputs_of, log_likelihoods, scores_of
from dslm.inspection.row import Row, pieces
from dslm.model.block import Block
from dslm.model.stages import Value
from dslm.objectives.completion import Fill
from dslm.tasks.base import Task

Predicts = Literal["next", "hidden", "classes"]


@dataclass(frozen=True)
class Guess:
    """A token or a class that a model predicts."""

    piece: str
    probability: float


@dataclass(frozen=True)
class Look:
    """What was seen."""

    predicts: Predicts
    """What the scores at a position are of: the token behind it, that in it, or classes."""
    tokens: list[str]
    """[S], the text of each."""
    bits: list[float | None]
    """[S], the surprisal of each; `None` where the model is not asked."""
    attention: tuple[Attention, ...]
    """What looks at what."""
    lens: list[list[Guess]]
    """[1 + L][S], the embedding's first: what is predicted at each position."""
    position: int
    """Where the token or class of the saliency is predicted."""
    target: Guess
    """It."""
    saliency: list[float]
    """[S]."""
    source: list[str] = field(default_factory=list)
    """[T], the text of each token that an encoder reads."""
    source_saliency: list[float] = field(default_factory=list)
    """[T]."""
    asked: tuple[int, ...] = ()
    """The positions at which classes are predicted."""


@dataclass(frozen=True)
class Reading:
    """What a model reads, and what its scores are called."""

    trained: Trained
    row: Row
    name: Callable[[Sequence[int]], list[str]]
    """Names of predicted ids."""
    count: int
    """Ids that can be predicted."""

    def logs(self, scores: Tensor) -> Tensor:
        """Log-probabilities [..., V] of scores."""
        objective = self.trained.objective
        if isinstance(objective, Task) and self.row.asked:
            return objective.logs(scores)
        return scores.float().log_softmax(-1)


def look(
    trained: Trained, row: Row, target: int | None = None, classes: Sequence[str] = ()
) -> Look:
    """Let a model read a text and look inside.

    Args:
        trained: a model with self-attention that continues texts, fills masks, writes targets of
            sources or predicts classes.
        row: the text.
        target: the id whose saliency is computed; the likeliest unless given.
        classes: what it predicts, where these are no tokens.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    tokenizer = trained.tokenizer
    reading = Reading(trained, row, lambda ids: pieces(tokenizer, tuple(ids)), tokenizer.vocabulary)
    if classes:
        reading = Reading(trained, row, lambda ids: [classes[n] for n in ids], len(classes))
    found, hidden = _read(reading)
    nats = dict(zip(row.scored, log_likelihoods(trained, row, row.scored), strict=True))
    positions, ids = _predicted(trained, row)
    position, chosen, probability, parts = _saliency(reading, ids, positions, target)
    shape, tokens = trained.config.model, pieces(tokenizer, row.ids)
    source, masked = pieces(tokenizer, row.source), isinstance(trained.objective.completion(), Fill)
    return Look(
        predicts="classes" if classes else "hidden" if masked else "next",
        tokens=tokens,
        bits=[-nats[n] / math.log(2) if n in nats else None for n in range(len(row.ids))],
        attention=attention_of(
            found, shape.encoder_layers, shape.attention == "causal", tokens, source
        ),
        lens=[_guesses(reading, _tail(trained, vectors)) for vectors in hidden],
        position=position,
        target=Guess(reading.name((chosen,))[0], probability),
        saliency=parts[-1],
        source=source,
        source_saliency=parts[0] if row.source else [],
        asked=row.asked,
    )


@torch.no_grad()
def _read(reading: Reading) -> tuple[list[Tensor], list[Tensor]]:
    """The weights of every attention; hidden vectors [1, S, D] around each block of the last stack.

    On these the head is put: the logit lens (nostalgebraist 2020).
    """
    trained = reading.trained
    hidden: list[Tensor] = []
    value = inputs_of(trained, reading.row, reading.row.ids)
    with AttentionWeights() as attention:
        for key, stage in trained.model.calls:
            if "memory" in stage.gives:
                hidden = []  # of an encoder, which predicts nothing
            if stage.module is Block and not hidden:
                hidden.append(_first(value))
            value = stage.apply(trained.model.layers[key], value)
            if stage.module is Block:
                hidden.append(_first(value))
    return attention.found, hidden


@torch.no_grad()
def _tail(trained: Trained, value: Value) -> Tensor:
    """The scores [S, V] that are made of hidden vectors [1, S, D]."""
    calls = trained.model.calls
    last = max(n for n, (_, stage) in enumerate(calls) if stage.module is Block)
    for key, stage in calls[last + 1 :]:
        value = stage.apply(trained.model.layers[key], value)
    return scores_of(value)[0]


def _guesses(reading: Reading, scores: Tensor) -> list[Guess]:
    """The likeliest id by scores [S, V], at each position."""
    most, ids = reading.logs(scores)[:, : reading.count].max(-1)
    return [*map(Guess, reading.name(ids.tolist()), most.exp().tolist())]


def _predicted(trained: Trained, row: Row) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The positions at which something is predicted, and the ids that the model reads for it.

    Of a model that continues a text that behind it; of one of classes those at which it is asked;
    else the first mask or, without one, the last token, which is then hidden.
    """
    how = trained.objective.completion()
    if row.asked:
        return row.asked, row.ids
    if not isinstance(how, Fill):
        return (len(row.ids) - 1,), row.ids
    if row.masks:
        return row.masks[:1], row.ids
    last = row.scored[-1]
    return (last,), (*row.ids[:last], how.mask, *row.ids[last + 1 :])


def _saliency(
    reading: Reading, ids: tuple[int, ...], positions: tuple[int, ...], target: int | None
) -> tuple[int, int, float, list[list[float]]]:
    """Gradient × input (Shrikumar et al. 2016).

    How much the vector of each token adds to the log-probability of what is predicted, to first
    order: of the likeliest id, or of the one given, at the position where it is likeliest.

    Returns:
        The position, the predicted id, its probability, and the part of each token of each stack.
    """
    trained, vectors = reading.trained, list[Tensor]()
    value = inputs_of(trained, reading.row, ids)
    for key, stage in trained.model.calls:
        value = stage.apply(trained.model.layers[key], value)
        if not vectors or "memory" in stage.gives:
            vectors.append(_first(value).detach().requires_grad_())
            more = value[1:] if isinstance(value, tuple) else ()
            value = (vectors[-1], *more) if more else vectors[-1]
    logs = reading.logs(scores_of(value)[0])
    among = logs[list(positions), : reading.count]
    best = among.max(1).values if target is None else among[:, target]
    place = int(best.argmax())
    chosen = int(among[place].argmax()) if target is None else target
    found = among[place, chosen]
    gradients = torch.autograd.grad(found, vectors)
    pairs = zip(gradients, vectors, strict=True)
    parts = [(gradient * vector).sum(-1)[0].tolist() for gradient, vector in pairs]
    return positions[place], chosen, float(found.detach().exp()), parts


def _first(value: Value) -> Tensor:
    """The tensor that every layer changes."""
    tensor = value[0] if isinstance(value, tuple) else value
    assert isinstance(tensor, Tensor)
    return tensor
