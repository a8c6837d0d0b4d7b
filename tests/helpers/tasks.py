"""Examples of a task, as we and `transformers` score them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from dslm.inference.trained import Trained
from dslm.sampling.stream import Samples
from dslm.tasks.base import Task
from helpers.hub import scores_in

LENGTHS = np.array([24, 17, 5])


def examples_apart(trained: Trained, theirs: Any) -> float:
    """The largest difference of scores of random examples, padding among them.

    Args:
        trained: a model of a task, for texts of 24 tokens at least.
        theirs: the same with them, whose padding is no token of a text.
    """
    task, padding = trained.objective, theirs.config.pad_token_id or 0
    assert isinstance(task, Task)
    draws, classes = np.random.default_rng(3), trained.config.model.classes
    text = np.arange(LENGTHS.max()) < LENGTHS[:, None]
    tokens = np.where(text, draws.integers(5, 300, text.shape), padding)
    labels = [task.drawn_labels(draws, classes, length) for length in LENGTHS.tolist()]
    order = np.arange(len(LENGTHS))
    inputs, _ = task.batch(Samples(tokens.astype(np.uint32), order, order, LENGTHS, labels))
    ids, seen = torch.from_numpy(tokens), torch.from_numpy(text)
    more = dict(zip(("ids", *task.extras), inputs, strict=True)) if task.extras else {}
    kinds = {"token_type_ids": more["segments"]} if "segments" in more else {}
    with torch.no_grad():
        ours: Tensor = trained.model(inputs)
        wanted = scores_in(theirs(ids, attention_mask=seen.long(), **kinds))
    if wanted.ndim == 2:
        return float((ours[:, 0] - wanted).abs().max())
    return float((ours - wanted).abs()[seen].max())
