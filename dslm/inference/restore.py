"""A damaged text restored: what a model of a denoising objective was trained for.

The path of a prompt: its `GAP`s become the marks of the objective, the rest ids; this is the
source, seen whole; behind `begin` the model writes the target up to `end`; a target of spans is put
back into the source.
"""

from __future__ import annotations

import numpy as np
import torch

from dslm.arrays import Int64Array
from dslm.errors import ConfigError, Problem
from dslm.inference.generate import SamplingConfig, caches, check_sampling, choose
from dslm.inference.prompts import around_gaps
from dslm.inference.trained import Trained
from dslm.objectives.completion import Restore
from dslm.objectives.corruption import restored

GAP = "<mask>"
"""What marks in a prompt that something is missing."""


def restore_text(
    trained: Trained, how: Restore, prompt: str, new_tokens: int, sampling: SamplingConfig
) -> str:
    """The prompt with its gaps filled, or what else was damaged put right.

    Args:
        trained: the model.
        how: the ids of the marks, and of begin and end of a target.
        prompt: a damaged text.
        new_tokens: how many tokens are written at most.
        sampling: how they are chosen.

    Raises:
        UserError: the settings or the prompt cannot be used.
    """
    source = _source(trained, how, prompt)
    problems = check_sampling(sampling) + _check(how, prompt, source)
    if problems:
        raise ConfigError(*problems)
    target = np.array(_written(trained, how, source, new_tokens, sampling), dtype=np.int64)
    if how.in_place:
        target = restored(source, target, how.marks[0])
    ids, begin = target.tolist(), [*trained.tokenizer.begin]
    return trained.tokenizer.decode(ids[len(begin) :] if ids[: len(begin)] == begin else ids)


def _source(trained: Trained, how: Restore, prompt: str) -> Int64Array:
    """The ids of a prompt; each gap has the mark that training gave it, see `around_gaps`."""
    texts = around_gaps(trained.tokenizer, prompt.split(GAP))
    first, *others = (ids.astype(np.int64) for ids in trained.tokenizer.encode(texts))
    parts = [np.array(trained.tokenizer.begin, dtype=np.int64), first]
    for number, ids in enumerate(others):
        mark = how.marks[number : number + 1] or how.marks[-1:]
        parts += [np.array(mark, dtype=np.int64), ids]
    return np.concatenate(parts)


def _check(how: Restore, prompt: str, source: Int64Array) -> list[Problem]:
    """What cannot be restored."""
    gaps, marks, rule = prompt.count(GAP), len(how.marks), None
    if how.in_place and not 0 < gaps <= marks:
        rule = f"must hold {GAP} where something is missing, at most {marks} times"
    elif gaps and not marks:
        rule = f"must not hold {GAP}: this model was shown no marks where something was missing"
    elif not 0 < source.size <= how.longest:
        rule = f"has {source.size} tokens: a damaged text of this model has 1 to {how.longest}"
    return [] if rule is None else [Problem("--prompt", prompt, rule)]


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
    row = np.append(source, how.begin)
    most = min(new_tokens, config.sequence - row.size)
    kept = caches(model, config, row.size + most)
    seen = np.append(np.full(source.size, -1), 1)
    # The first reading sees the source whole; what follows sees all before it anyway.
    arrays = row, seen, np.array([source.size])
    inputs = tuple(torch.from_numpy(array)[None].to(device) for array in arrays)
    scores, written = model(inputs, kept)[0, -1], []
    for _ in range(most):
        token = choose(scores.float().cpu().masked_fill(never, -torch.inf), sampling, draws)
        if token == how.end:
            break
        written.append(token)
        scores = model(torch.tensor([[token]], device=device), kept)[0, -1]
    return written
