"""The likeliest token for each mask in a text, all of them predicted at once."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from dslm.errors import ConfigError, Problem
from dslm.inference.prompts import around_gaps
from dslm.inference.trained import Trained
from dslm.objectives.completion import Fill
from dslm.tokenizers.vocabulary import text_within

MASK = re.compile(r"<mask>|\[MASK\]")
"""What marks a mask in a text, whatever the tokenizer calls it."""


@torch.no_grad()
def fill(trained: Trained, how: Fill, prompt: str) -> str:
    """The prompt with a token of text instead of each mask, see `around_gaps`.

    Args:
        trained: the model.
        how: the ids of the mask and of what surrounds a text.
        prompt: a text with ``<mask>`` in it.

    Raises:
        UserError: there is no mask, or the text is longer than the model's window.
    """
    texts = around_gaps(trained.tokenizer, MASK.split(prompt))
    if len(texts) == 1:
        raise ConfigError(Problem("--prompt", prompt, "must hold <mask>, which is to be filled"))
    made, row = texts[0], list[int]()
    for number, text in zip(_likeliest(trained, how, texts), texts[1:], strict=True):
        row.append(number)
        if text:
            made, row = _with(trained, made, row) + text, []
    return _with(trained, made, row)


def _with(trained: Trained, text: str, ids: list[int]) -> str:
    """A text and, behind it, what some ids in a row stand for."""
    more = text_within(trained.tokenizer, ids)
    return text + (more if text else more.lstrip())


def _likeliest(trained: Trained, how: Fill, texts: list[str]) -> list[int]:
    """The ids that fit best between texts."""
    tokenizer = trained.tokenizer
    tokens = [*tokenizer.begin] if how.begin is None else [how.begin]
    positions = []
    first, *others = (ids.tolist() for ids in tokenizer.encode(texts))
    tokens += first
    for ids in others:
        positions.append(len(tokens))
        tokens += [how.mask, *ids]
    tokens += [] if how.end is None else [how.end]
    _check(trained, len(tokens))
    scores = trained.model(torch.tensor([tokens], device=trained.device))
    predicted: Tensor = (scores if isinstance(scores, Tensor) else scores[0])[0, positions]
    predicted[:, [*tokenizer.special.values()]] = -torch.inf
    return predicted[:, : tokenizer.vocabulary].argmax(-1).tolist()


def _check(trained: Trained, length: int) -> None:
    sequence = trained.config.model.sequence
    if length > sequence:
        rule = f"gives {length} tokens, but the model's window has {sequence}"
        raise ConfigError(Problem("--prompt", None, rule, "shorten it"))
