"""Texts written by a model without a run or a tokenizer: every id is a letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from dslm.inference.generate import search
from dslm.inference.next_token import OneStack
from dslm.inference.sampling import SamplingConfig
from dslm.inference.writing import Task, Written
from dslm.model.config import ModelConfig


def letters(ids: Sequence[int]) -> str:
    """The text of some ids."""
    return "".join(chr(65 + number) for number in ids)


def write_all(
    model: Any,
    config: ModelConfig,
    texts: Sequence[Sequence[int]],
    sampling: SamplingConfig,
    count: int,
    *,
    end: int | None = None,
    vocabulary: int | None = None,
    cached: bool = True,
) -> list[Written]:
    """What follows each of some texts."""
    never = torch.arange(config.size) >= (vocabulary or config.size)
    task = Task(letters, texts, texts, [count] * len(texts), never, end, sampling)
    return search(task, OneStack(model, config, texts, count, cached=cached))


def write_one(
    model: Any,
    config: ModelConfig,
    text: Sequence[int],
    sampling: SamplingConfig,
    count: int,
    **more: Any,
) -> list[int]:
    """The tokens that follow a text."""
    return write_all(model, config, [text], sampling, count, **more)[0].tokens
