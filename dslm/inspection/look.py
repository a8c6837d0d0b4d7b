"""A look inside a model while it reads one text: attention, logit lens, surprisal, saliency."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dslm.inference.trained import Trained
from dslm.inspection.attention import AttentionWeights, rollout
from dslm.inspection.likelihood import log_likelihoods, scores_of
from dslm.inspection.row import Row, pieces
from dslm.model.block import Block
from dslm.model.stages import Value
from dslm.objectives.completion import Fill


@dataclass(frozen=True)
class Guess:
    """A token that a model predicts."""

    piece: str
    probability: float


@dataclass(frozen=True)
class Look:
    """What was seen."""

    tokens: list[str]
    """[S], the text of each."""
    bits: list[float | None]
    """[S], the surprisal of each; `None` where the model is not asked."""
    weights: Tensor
    """[L, H, S, S], from which token (third) to which (last)."""
    rollout: Tensor
    """[L, S, S]."""
    lens: list[list[Guess]]
    """[1 + L][S], the embedding's first: what is predicted at each position."""
    position: int
    """Where the token of the saliency is predicted."""
    target: Guess
    """That token."""
    saliency: list[float]
    """[S]."""


def look(trained: Trained, row: Row, target: int | None = None) -> Look:
    """Let a model read a text and look inside.

    Args:
        trained: a model with self-attention that continues texts or fills masks.
        row: the text.
        target: the id whose saliency is computed; the likeliest unless given.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    weights, hidden = _read(trained, row)
    nats = dict(zip(row.scored, log_likelihoods(trained, row, row.scored), strict=True))
    position, ids = _predicted(trained, row)
    chosen, probability, parts = _saliency(trained, ids, position, target)
    return Look(
        tokens=pieces(trained.tokenizer, row.ids),
        bits=[-nats[n] / math.log(2) if n in nats else None for n in range(len(row.ids))],
        weights=weights,
        rollout=rollout(weights),
        lens=_lens(trained, hidden),
        position=position,
        target=Guess(pieces(trained.tokenizer, (chosen,))[0], probability),
        saliency=parts,
    )


@torch.no_grad()
def _read(trained: Trained, row: Row) -> tuple[Tensor, list[Tensor]]:
    """The attention weights [L, H, S, S]; hidden vectors [1, S, D] before and behind each block."""
    hidden: list[Tensor] = []
    value: Value = torch.tensor([row.ids], device=trained.device)
    with AttentionWeights() as attention:
        for key, stage in trained.model.calls:
            if stage.module is Block and not hidden:
                hidden.append(_alone(value))
            value = stage.apply(trained.model.layers[key], value)
            if stage.module is Block:
                hidden.append(_alone(value))
    return torch.cat(attention.found).float().cpu(), hidden


@torch.no_grad()
def _lens(trained: Trained, hidden: list[Tensor]) -> list[list[Guess]]:
    """The logit lens (nostalgebraist 2020): all that is behind the last block, on each layer."""
    return [_guesses(trained, _tail(trained, vectors)) for vectors in hidden]


def _tail(trained: Trained, value: Value) -> Tensor:
    """The scores [S, V] that are made of hidden vectors [1, S, D]."""
    calls = trained.model.calls
    last = max(n for n, (_, stage) in enumerate(calls) if stage.module is Block)
    for key, stage in calls[last + 1 :]:
        value = stage.apply(trained.model.layers[key], value)
    return scores_of(value)[0].float()


def _guesses(trained: Trained, scores: Tensor) -> list[Guess]:
    """The likeliest id by scores [S, V], at each position."""
    most, ids = scores.softmax(-1)[:, : trained.tokenizer.vocabulary].max(-1)
    named = pieces(trained.tokenizer, tuple(ids.tolist()))
    return [Guess(*both) for both in zip(named, most.tolist(), strict=True)]


def _predicted(trained: Trained, row: Row) -> tuple[int, tuple[int, ...]]:
    """The position at which a token is predicted, and the ids that the model reads for it.

    Of a causal model that behind the text; else the first mask or, without one, the last token,
    which is then hidden.
    """
    how = trained.objective.completion()
    if not isinstance(how, Fill):
        return len(row.ids) - 1, row.ids
    if row.masks:
        return row.masks[0], row.ids
    last = row.scored[-1]
    return last, (*row.ids[:last], how.mask, *row.ids[last + 1 :])


def _saliency(
    trained: Trained, ids: tuple[int, ...], position: int, target: int | None
) -> tuple[int, float, list[float]]:
    """Gradient × input (Shrikumar et al. 2016).

    How much the vector of each token adds to the log-probability of a predicted one, to first
    order.

    Returns:
        The predicted id, its probability, and the part of each token [S].
    """
    (key, stage), *others = trained.model.calls
    with torch.no_grad():
        first = stage.apply(trained.model.layers[key], torch.tensor([ids], device=trained.device))
    vectors = _alone(first).detach().requires_grad_()
    value: Value = vectors
    for key, stage in others:
        value = stage.apply(trained.model.layers[key], value)
    found = scores_of(value)[0, position].float().log_softmax(-1)
    chosen = int(found[: trained.tokenizer.vocabulary].argmax()) if target is None else target
    (gradient,) = torch.autograd.grad(found[chosen], vectors)
    parts = (gradient * vectors).sum(-1)[0].detach()
    return chosen, float(found[chosen].detach().exp()), parts.tolist()


def _alone(value: Value) -> Tensor:
    """The tensor that goes from layer to layer, which nothing accompanies here."""
    assert isinstance(value, Tensor)
    return value
