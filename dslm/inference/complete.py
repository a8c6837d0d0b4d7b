"""Prompts completed in the way that the objective of a model names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dslm.errors import ConfigError
from dslm.inference.fill import fill
from dslm.inference.generate import Continued, Request, continued
from dslm.inference.prompt_file import TOGETHER, Prompt
from dslm.inference.prompts import check_completion, check_prompts
from dslm.inference.restore import restore_texts
from dslm.inference.sampling import SamplingConfig, check_sampling
from dslm.inference.trained import Trained
from dslm.inference.writing import End
from dslm.objectives.completion import Continue, Fill, Restore


@dataclass(frozen=True)
class Completed:
    """A prompt completed."""

    number: int
    """That of the prompt, from 0 on."""
    text: str
    """The whole text: the prompt and what follows, or the prompt with its gaps filled."""
    sample: int = 0
    """Its number among the texts of the prompt."""
    end: End | None = None
    """Why it ends there; `None` where nothing was written token by token."""
    score: float | None = None
    """Of a beam search: by what its texts are compared."""
    given: tuple[tuple[int, float | None], ...] = ()
    """The ids of the prompt and the log-probability of each; the first has none."""
    written: tuple[tuple[int, float], ...] = ()
    """The ids that were written, and the log-probability of each."""


def complete(trained: Trained, prompt: str, new_tokens: int, sampling: SamplingConfig) -> str:
    """The prompt continued, with its masks filled, or restored.

    Args:
        trained: the model.
        prompt: a text.
        new_tokens: how many tokens are written at most.
        sampling: how they are chosen; of several samples the first is returned.

    Raises:
        UserError: the settings or the prompt cannot be used, or the model completes nothing.
    """
    return next(complete_all(trained, [Prompt(prompt)], Request(new_tokens, sampling))).text


def complete_all(
    trained: Trained, prompts: Sequence[Prompt], request: Request, together: int = TOGETHER
) -> Iterator[Completed]:
    """Each prompt completed, in order, with its samples one after the other.

    What comes of a prompt does not depend on the others.

    Args:
        trained: the model.
        prompts: the texts.
        request: how they are completed.
        together: how many prompts at once.

    Raises:
        UserError: the settings or a prompt cannot be used, or the model completes nothing.
    """
    objective, tokenizer, sampling = trained.objective, trained.tokenizer, request.sampling
    problems = check_sampling(sampling, request.new_tokens)
    problems += check_completion(sampling, objective, measured=request.measured)
    model = trained.config.model
    problems += check_prompts(prompts, model, objective, tokenizer, str(trained.run))
    if problems:
        raise ConfigError(*problems)
    for start in range(0, len(prompts), together):
        texts = [one.text for one in prompts[start : start + together]]
        yield from _together(trained, texts, request, start)


def _together(
    trained: Trained, texts: list[str], request: Request, start: int
) -> Iterator[Completed]:
    """Some prompts completed at once; the first one's number is `start`."""
    match trained.objective.completion():
        case Continue():
            for one in continued(trained, texts, request):
                yield _completed(one, start, one.text)
        case Fill() as how:
            for number, text in enumerate(texts, start):
                yield Completed(number, fill(trained, how, text))
                request.ended()
        case Restore() as how:
            for one, text in restore_texts(trained, how, texts, request):
                yield _completed(one, start, text)


def _completed(one: Continued, start: int, text: str) -> Completed:
    """What has been written, as it is shown."""
    written = one.written
    logs = [None, *one.given_logs] if one.given_logs or len(one.given) == 1 else []
    return Completed(
        start + written.prompt,
        text,
        written.sample,
        written.end,
        written.score,
        tuple(zip(one.given, logs, strict=False)),
        tuple(zip(written.tokens, written.logs, strict=True)),
    )
