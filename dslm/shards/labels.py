"""What is to be learned of the documents of a labelled shard set, and what the numbers mean.

An example of a task is a document, stored like any other; its labels are a list of numbers beside
its tokens: the number of a class, a flag for each of several, an amount, or a number for each token
or span. Beside them is its reference, what a prediction is compared with: the text of an answer.
The manifest's settings say under ``task`` which kind of task it is and what classes are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from dslm.arrays import Float32Array
from dslm.shards.shard_set import ShardSet

TASK = "task"
"""The key of the manifest's settings."""


@dataclass(frozen=True)
class LabelledTask:
    """What a labelled set is for."""

    kind: str
    """The kind of task."""
    classes: tuple[str, ...] = ()
    """What each number is called, where labels are classes."""


def task_of(shards: ShardSet) -> LabelledTask | None:
    """What a set is for; `None` for plain text."""
    found = shards.manifest.settings.get(TASK)
    if not isinstance(found, dict):
        return None
    return LabelledTask(str(found["kind"]), tuple(map(str, found.get("classes", ()))))


def of_units(shards: ShardSet) -> bool:
    """Whether each unit of a text has a label, as its reference says, not each word."""
    if task_of(shards) is None:
        return False
    reference = reference_of(shards, 0)
    return isinstance(reference, dict) and "units" in reference


def all_labels(shards: ShardSet) -> Iterator[Float32Array]:
    """What is to be learned of all documents of a labelled set, one batch after the other."""
    for batch in range(sum(len(shard.batches) for shard in shards.manifest.shards)):
        labels = shards.column(batch, "labels_at")
        yield labels.read(0, labels.size)


def labels_of(shards: ShardSet, number: int) -> Float32Array:
    """What is to be learned of a document of a labelled set."""
    batch, row = shards.row_of(number)
    begin, end = shards.column(batch, "label_ends_at").read(row, row + 2).tolist()
    found: Float32Array = shards.column(batch, "labels_at").read(begin, end)
    return found


def reference_of(shards: ShardSet, number: int) -> Any:
    """What a prediction for a document of a labelled set is compared with, beyond its labels.

    Sets that were made before there were references have none.
    """
    batch, row = shards.row_of(number)
    ends = shards.column(batch, "reference_ends_at")
    if not ends.offset:
        return None
    begin, end = ends.read(row, row + 2).tolist()
    return orjson.loads(shards.column(batch, "references_at").read(begin, end).tobytes())
