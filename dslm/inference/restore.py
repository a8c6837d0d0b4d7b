"""A damaged text restored: what a model of the denoising objective was trained for.

The way of a prompt: its `GAP`s become the marks of the objective, the rest ids; this is the source,
seen whole; behind `begin` the model writes the target up to `end`; of `spans` the target is put
back into the source.
"""

from __future__ import annotations

import numpy as np
import torch

from dslm.errors import ConfigError, Problem
from dslm.inference.generate import SamplingConfig, check_sampling, choose
from dslm.inference.trained import Trained
from dslm.model.attention import Cache
from dslm.objectives.corruption import Integers, filled
from dslm.objectives.denoising import Denoising

GAP = "<mask>"
"""What stands in a prompt for something that is missing."""


def restore_text(trained: Trained, prompt: str, new_tokens: int, sampling: SamplingConfig) -> str:
    """The prompt with its gaps filled, or what else was damaged put right.

    Args:
        trained: a model of the denoising objective.
        prompt: a damaged text.
        new_tokens: how many tokens are written at most.
        sampling: how they are chosen.

    Raises:
        UserError: the settings or the prompt cannot be used.
    """
    objective = trained.objective
    assert isinstance(objective, Denoising), "the command chooses by the objective"
    source = _source(trained, objective, prompt)
    problems = check_sampling(sampling) + _check(objective, prompt, source)
    if problems:
        raise ConfigError(*problems)
    target = np.array(_written(trained, objective, source, new_tokens, sampling), dtype=np.int64)
    if objective.settings.style == "spans":
        target = filled(source, target, objective.corruption.marks)
    return trained.tokenizer.decode(target.tolist())


def _source(trained: Trained, objective: Denoising, prompt: str) -> Integers:
    """The ids of a prompt; each gap has the mark that training gave it.

    A space before a gap belongs to what is missing, as pieces of words begin with theirs; not so
    where tokens are characters.
    """
    texts = prompt.split(GAP)
    if trained.tokenizer.kind != "char":
        texts = [*(text.removesuffix(" ") for text in texts[:-1]), texts[-1]]
    first, *others = (ids.astype(np.int64) for ids in trained.tokenizer.encode(texts))
    own, parts = objective.settings.style == "spans", [first]
    for number, ids in enumerate(others):
        parts += [np.array([objective.corruption.marks + (number if own else 0)]), ids]
    return np.concatenate(parts)


def _check(objective: Denoising, prompt: str, source: Integers) -> list[Problem]:
    """What cannot be restored."""
    style, gaps = objective.settings.style, prompt.count(GAP)
    width = objective.window_spec.width
    _, most = objective.corruption.counts(width)
    room = objective.context.sequence - objective.corruption.lengths(width)[1] - 1
    rule = None
    if style == "spans" and not 0 < gaps <= most:
        rule = f"must hold {GAP} where something is missing, at most {most} times"
    elif style == "deletion" and gaps:
        rule = f"must not hold {GAP}: this model was shown no marks where something was missing"
    elif not 0 < source.size <= room:
        rule = f"has {source.size} tokens: a damaged text of this model has 1 to {room}"
    return [] if rule is None else [Problem("--prompt", prompt, rule)]


@torch.no_grad()
def _written(
    trained: Trained,
    objective: Denoising,
    source: Integers,
    new_tokens: int,
    sampling: SamplingConfig,
) -> list[int]:
    """The target of a source, without `end`."""
    config, model, device = trained.config.model, trained.model, trained.device
    weight = next(model.parameters())
    caches = [Cache(config, 1, config.sequence, weight) for _ in range(config.layers)]
    draws = torch.Generator().manual_seed(sampling.seed)
    never = torch.zeros(config.size, dtype=torch.bool)
    never[objective.begin], never[objective.begin + objective.extra_ids :] = True, True
    row = np.append(source, objective.begin)
    seen = np.append(np.full(source.size, -1), 1)
    # The first reading sees the source whole; what follows sees all before it without being told.
    arrays = row, seen, np.array([source.size])
    inputs = tuple(torch.from_numpy(array)[None].to(device) for array in arrays)
    scores, written = model(inputs, caches)[0, -1], []
    for _ in range(min(new_tokens, config.sequence - row.size)):
        token = choose(scores.float().cpu().masked_fill(never, -torch.inf), sampling, draws)
        if token == objective.end:
            break
        written.append(token)
        scores = model(torch.tensor([[token]], device=device), caches)[0, -1]
    return written
