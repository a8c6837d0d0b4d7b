"""The likeliest token for each mask in a text, all of them predicted at once."""

from __future__ import annotations

import torch
from torch import Tensor

from dslm.inference.prompts import MASK, around_gaps, to_fill
from dslm.inference.trained import Trained
from dslm.objectives.completion import Fill
from dslm.tokenizers.vocabulary import text_within


@torch.no_grad()
def fill(trained: Trained, how: Fill, prompt: str) -> str:
    """The prompt with a token of text instead of each mask, see `around_gaps`.

    Args:
        trained: the model.
        how: the ids of the mask and of what surrounds a text.
        prompt: a text with ``<mask>`` in it, not longer than the model's window.
    """
    texts = around_gaps(trained.tokenizer, MASK.split(prompt))
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
    tokens, positions = to_fill(tokenizer, how, texts)
    scores = trained.model(torch.tensor([tokens], device=trained.device))
    predicted: Tensor = (scores if isinstance(scores, Tensor) else scores[0])[0, positions]
    predicted[:, [*tokenizer.special.values()]] = -torch.inf
    return predicted[:, : tokenizer.vocabulary].argmax(-1).tolist()
