"""Damaged texts restored: what a model of a denoising objective was trained for.

The path of a prompt: its gaps become the marks of the objective, the rest ids; this is the
source, seen whole or read by an encoder; behind `begin` the model writes the target up to `end`; a
target of spans is put back into the source.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from dslm.inference.generate import Continued, Request, search
from dslm.inference.next_token import NextToken, OneStack
from dslm.inference.prompts import GAP, to_restore
from dslm.inference.trained import Trained
from dslm.inference.two_stacks import TwoStacks
from dslm.inference.writing import Task
from dslm.objectives.completion import Restore
from dslm.objectives.corruption import restored


def restore_texts(
    trained: Trained, how: Restore, prompts: Sequence[str], request: Request
) -> Iterator[tuple[Continued, str]]:
    """What the model writes of each prompt, and the text with its gaps filled or put right.

    Args:
        trained: the model.
        how: the ids of the marks, and those around source and target.
        prompts: damaged texts that can be restored.
        request: how the targets are written.
    """
    sources = [to_restore(trained.tokenizer, how, one).tolist() for one in prompts]
    for one in targets(trained, how, sources, request):
        text = one.text
        if how.in_place and GAP in prompts[one.written.prompt]:
            source = np.array(one.given[:-1], dtype=np.int64)
            target = np.array(one.written.tokens, dtype=np.int64)
            text = _decoded(trained, restored(source, target, how.marks).tolist())
        yield one, text


def targets(
    trained: Trained, how: Restore, sources: Sequence[Sequence[int]], request: Request
) -> list[Continued]:
    """The target of each source, without `end`.

    Args:
        trained: the model.
        how: the ids around source and target.
        sources: the ids that are read of each, see `to_restore`.
        request: how the targets are written.
    """
    config, frame = trained.config.model, how.frame
    begin = [] if how.one_text else [frame.begin]
    given = [[*source, *begin] for source in sources]
    texts = [[*begin] for _ in sources] if how.two_stacks else given
    never = torch.arange(config.size, device=trained.device) >= how.size
    for number in begin:  # those of the tokenizer have another meaning, too
        never[number] |= number >= trained.tokenizer.vocabulary
    task = Task(
        decode=partial(_decoded, trained),
        prompts=texts,
        shown=[[] for _ in texts],
        limits=[min(request.new_tokens, config.sequence - len(text)) for text in texts],
        never=never,
        end=frame.end,
        forced=frame.forced,
        sampling=request.sampling,
        ended=request.ended,
        sources=sources if how.two_stacks else None,
    )
    model: NextToken
    if how.two_stacks:
        model = TwoStacks(trained.model, config, sources, frame.begin, max(task.limits))
    else:
        whole = not how.one_text
        model = OneStack(trained.model, config, texts, request.new_tokens, seen_whole=whole)
    return [Continued(given[one.prompt], [], one, one.text) for one in search(task, model)]


def _decoded(trained: Trained, ids: Sequence[int]) -> str:
    """The text of ids, without marks and what the tokenizer puts before a text."""
    tokenizer, begin = trained.tokenizer, trained.tokenizer.begin
    ids = ids[len(begin) :] if tuple(ids[: len(begin)]) == begin else ids
    return tokenizer.decode([number for number in ids if number < tokenizer.vocabulary])
