"""Prompts continued, several at a time.

The path of a prompt: its ids, what the model says of them (`next_token`), the tokens that a search
chooses (`writing`, `beams`), their text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dslm.inference.beams import Beams
from dslm.inference.next_token import NextToken, OneStack
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import Trained
from dslm.inference.writing import Drawn, Task, Told, Written, write


@dataclass(frozen=True)
class Request:
    """How some prompts are completed."""

    new_tokens: int
    """How many tokens are written at most."""
    sampling: SamplingConfig
    """How they are chosen."""
    measured: bool = False
    """Whether log-probabilities of the prompts' tokens are wanted, too."""
    told: Told | None = None
    """Takes the text of the first prompt, piece by piece; without beams."""
    ended: Callable[[], None] = lambda: None
    """Called for each text that has ended."""


@dataclass(frozen=True)
class Continued:
    """A text and what the prompt cost."""

    given: list[int]
    """The ids of the prompt."""
    given_logs: list[float]
    """The log-probability of each of them but the first, if it was asked for."""
    written: Written
    text: str
    """All of it, or what was written where that is another text than the prompt."""


def continued(trained: Trained, prompts: Sequence[str], request: Request) -> list[Continued]:
    """Each prompt, which must be usable, and what follows it, up to the document's end.

    Args:
        trained: the model.
        prompts: the beginnings, behind what the tokenizer puts before a text; an empty one begins a
            new document.
        request: how they go on.
    """
    tokenizer, config = trained.tokenizer, trained.config.model
    texts = [tokenizer.prompt(prompt) for prompt in prompts]
    shown = [
        ids[len(tokenizer.begin) :] if prompt else []
        for ids, prompt in zip(texts, prompts, strict=True)
    ]
    never = torch.arange(config.size, device=trained.device) >= tokenizer.vocabulary
    limits = [request.new_tokens] * len(texts)
    end, sampling = tokenizer.end_of_document, request.sampling
    task = Task(tokenizer.decode, texts, shown, limits, never, end, sampling, request.ended)
    measured = request.measured
    model = OneStack(trained.model, config, texts, request.new_tokens, measured=measured)
    before = [tokenizer.decode(ids) for ids in shown]
    if request.told is not None:
        request.told(before[0])
    return [
        Continued(texts[one.prompt], model.given[one.prompt], one, before[one.prompt] + one.text)
        for one in search(task, model, request.told)
    ]


def search(task: Task, model: NextToken, told: Told | None = None) -> list[Written]:
    """What is written behind each prompt, in order: its samples, or the best of its beams."""
    found = Drawn(task, told) if task.sampling.beams == 1 else Beams(task)
    write(model, found)
    return found.written
