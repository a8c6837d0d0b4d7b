"""A prompt completed in the way that the objective of a model names."""

from __future__ import annotations

from dslm.errors import ConfigError
from dslm.inference.fill import fill
from dslm.inference.generate import continue_text
from dslm.inference.prompts import check_prompt
from dslm.inference.restore import restore_text
from dslm.inference.sampling import SamplingConfig, check_sampling
from dslm.inference.trained import Trained
from dslm.objectives.completion import Continue, Fill, Restore


def complete(trained: Trained, prompt: str, new_tokens: int, sampling: SamplingConfig) -> str:
    """The prompt continued, with its masks filled, or restored.

    Args:
        trained: the model.
        prompt: a text.
        new_tokens: how many tokens are written at most.
        sampling: how they are chosen.

    Raises:
        UserError: the settings or the prompt cannot be used, or the model completes nothing.
    """
    problems = check_sampling(sampling, new_tokens)
    problems += check_prompt(
        prompt, trained.config.model, trained.objective, trained.tokenizer, str(trained.run)
    )
    if problems:
        raise ConfigError(*problems)
    match trained.objective.completion():
        case Continue():
            return continue_text(trained, prompt, new_tokens, sampling)
        case Fill() as how:
            return fill(trained, how, prompt)
        case Restore() as how:
            return restore_text(trained, how, prompt, new_tokens, sampling)
    raise AssertionError("a model that completes nothing has been refused")
