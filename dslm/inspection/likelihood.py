"""How likely a model finds the tokens of a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dslm.inference.mistakes import lost
from dslm.inference.trained import Trained
from dslm.inspection.row import Row
from dslm.model.stages import Value
from dslm.objectives.completion import Fill
from dslm.tasks.base import Task

TOKENS = 2048
"""Tokens whose scores are held at once."""


def scores_of(outputs: Any) -> Tensor:
    """The scores of tokens [B, S, V] among the outputs of a model, which may score pairs too."""
    scores: Tensor = outputs if isinstance(outputs, Tensor) else outputs[0]
    return scores


def inputs_of(trained: Trained, row: Row, ids: Sequence[int]) -> Value:
    """What a model reads of a row with some ids: these, with segments, or behind a source."""
    tokens, objective = torch.tensor([ids], device=trained.device), trained.objective
    if isinstance(objective, Task) and "segments" in objective.extras:
        segments = torch.from_numpy(objective.segments(np.array([ids]))).to(trained.device)
        return (tokens, *map({"segments": segments}.get, objective.extras))
    if not row.source:
        return tokens
    source = torch.tensor([row.source], device=trained.device)
    return (source, *map({"targets": tokens}.get, objective.extras))


@torch.no_grad()
def log_likelihoods(trained: Trained, row: Row, positions: Sequence[int]) -> list[float]:
    """The logarithm of the probability of each token, in nats.

    A causal model gives a token's from those before it. Of a model that fills masks it is that of
    the token when it alone is hidden (Salazar et al. 2020, "Masked Language Model Scoring").

    Args:
        trained: a model that continues texts or fills masks.
        row: the text.
        positions: those of the tokens, all among `Row.scored`.

    Raises:
        CheckpointError: the model's numbers are not finite.
    """
    if not positions:
        return []
    wanted = torch.tensor(row.ids)[list(positions)].to(trained.device)
    parts = [part.log_softmax(-1) for part in _scores(trained, row, positions)]
    found = torch.cat(parts).gather(1, wanted[:, None])[:, 0]
    if not found.isfinite().all():
        raise lost("its scores are not finite")
    return [float(value) for value in found]


def _scores(trained: Trained, row: Row, positions: Sequence[int]) -> Iterator[Tensor]:
    """The scores [some, V] by which tokens are predicted, float32."""
    how = trained.objective.completion()
    if not isinstance(how, Fill):
        scores = scores_of(trained.model(inputs_of(trained, row, row.ids)))
        yield scores[0, torch.tensor(positions) - 1].float()
        return
    ids = torch.tensor([row.ids], device=trained.device)
    at_once = max(1, TOKENS // len(row.ids))
    for part in torch.split(torch.tensor(positions), at_once):
        hidden = ids.repeat(len(part), 1)
        rows = torch.arange(len(part))
        hidden[rows, part] = how.mask
        yield scores_of(trained.model(hidden))[rows, part].float()
