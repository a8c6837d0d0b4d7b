"""A damaged text restored: what a model of a denoising objective was trained for.

The path of a prompt: its gaps become the marks of the objective, the rest ids; this is the
source, seen whole; behind `begin` the model writes the target up to `end`; a target of spans is put
back into the source.
"""

from __future__ import annotations

import numpy as np
import torch

from dslm.arrays import Int64Array
from dslm.inference.generate import caches, choose
from dslm.inference.prompts import to_restore
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained
from dslm.objectives.completion import Restore
from dslm.objectives.corruption import restored


def restore_text(
    trained: Trained, how: Restore, prompt: str, new_tokens: int, sampling: SamplingConfig
) -> str:
    """The prompt with its gaps filled, or what else was damaged put right.

    Args:
        trained: the model.
        how: the ids of the marks, and of begin and end of a target.
        prompt: a damaged text that can be restored.
        new_tokens: how many tokens are written at most.
        sampling: how they are chosen.
    """
    source = to_restore(trained.tokenizer, how, prompt)
    target = np.array(_written(trained, how, source, new_tokens, sampling), dtype=np.int64)
    if how.in_place:
        target = restored(source, target, how.marks[0])
    ids, begin = target.tolist(), [*trained.tokenizer.begin]
    return trained.tokenizer.decode(ids[len(begin) :] if ids[: len(begin)] == begin else ids)


@torch.no_grad()
def _written(
    trained: Trained,
    how: Restore,
    source: Int64Array,
    new_tokens: int,
    sampling: SamplingConfig,
) -> list[int]:
    """The target of a source, without `end`."""
    config, model, device = trained.config.model, trained.model, trained.device
    draws = torch.Generator().manual_seed(sampling.seed)
    never = torch.zeros(config.size, dtype=torch.bool)
    never[how.begin], never[how.size :] = True, True
    # The first reading sees the source whole; what follows sees all before it anyway.
    whole, begin = np.full(source.size, -1), np.array([how.begin])
    if how.two_stacks:
        arrays, before = (source, whole, begin), 1
    else:
        row, last = np.append(source, begin), np.array([source.size])
        arrays, before = (row, np.append(whole, 1), last), row.size
    most = min(new_tokens, config.sequence - before)
    kept = caches(model, config, before + most)
    inputs = tuple(torch.from_numpy(array)[None].to(device) for array in arrays)
    scores, written = model(inputs, kept)[0, -1], []
    for _ in range(most):
        token = choose(scores.float().cpu().masked_fill(never, -torch.inf), sampling, draws)
        if token == how.end:
            break
        written.append(token)
        scores = model(torch.tensor([[token]], device=device), kept)[0, -1]
    return written
