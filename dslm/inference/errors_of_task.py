"""The wrong predictions that a model was surest of, with the text it has read: for a report.

The surer a model is of something wrong the higher its loss, whatever the task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dslm.inference.scoring import Scored
from dslm.inference.trained import Trained
from dslm.objectives.batch import IGNORE
from dslm.shards.labels import labels_of
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.tasks.base import Task
from dslm.tasks.example import Between

SHOWN = 12
"""Errors that are kept."""
LETTERS = {"text": 600, "right": 200, "predicted": 200}
"""Of each at most."""


def errors_of_task(
    trained: Trained,
    task: Task,
    shards: ShardSet,
    classes: Sequence[str],
    scored: Scored,
) -> dict[str, Any]:
    """How many predictions are wrong, and those with the highest losses.

    Args:
        trained: the model.
        task: what it does.
        shards: the examples.
        classes: what numbers are called.
        scored: what was predicted of them.
    """
    reader, found, groups = ProvenanceReader(shards), scored.predictions, scored.groups
    wrong = [number for number, one in enumerate(found) if not task.is_right(one)]
    highest = {
        number: max(scored.losses[example] for example in groups[number]) for number in wrong
    }
    errors = []
    for number in sorted(wrong, key=lambda number: (-highest[number], number))[:SHOWN]:
        example = groups[number][0]
        between = _between(trained, shards, example)
        sides = [task.told(side, classes, between) for side in found[number]]
        texts = reader.text(example, trained.tokenizer), *sides
        cut = {key: _cut(text, LETTERS[key]) for key, text in zip(LETTERS, texts, strict=True)}
        errors.append({**cut, "loss": highest[number]})
    return {"records": len(found), "wrong": len(wrong), "errors": errors}


def _between(trained: Trained, shards: ShardSet, example: int) -> Between:
    """The text between labelled tokens, of a task whose labels lie beside tokens."""

    def between(first: int, last: int) -> str:
        start, end = shards.document(example)
        ids = shards.windows(np.array([start]), end - start)[0].tolist()
        places = [*np.flatnonzero(labels_of(shards, example) != IGNORE).tolist(), len(ids)]
        return trained.tokenizer.decode(ids[places[first] : places[last]]).strip()

    return between


def _cut(text: str, most: int) -> str:
    """A text without what no reader sees, and not too long for a page."""
    visible = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return visible if len(visible) <= most else f"{visible[:most]} …"
