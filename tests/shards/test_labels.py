"""Labels beside tokens: written and read, sliced, ordered, and absent where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from datasets import load_from_disk
from helpers.shard_sets import one_row

from dslm.sampling.examples import ExampleRows
from dslm.sampling.stream import Stream, ordered
from dslm.shards.datasets_files import write_datasets_files
from dslm.shards.labels import LabelledTask, labels_of, reference_of, task_of
from dslm.shards.manifest import Manifest
from dslm.shards.rows import Rows
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import Statistics
from dslm.shards.writer import ShardWriter

LABELS = [[2.0], [], [0.5, -1.0, 3.0], [1.0], [7.0, 8.0]]
"""Of documents of 1, 2, 3, 4 and 5 tokens."""
REFERENCES = ["a", None, {"text": "«три»", "at": [1, 2]}, "", ["x"] * 9]
"""Of the same."""


def labelled(tokens: np.ndarray, labels: list[float], reference: Any) -> Rows:
    """One example."""
    numbers, ends = np.array(labels, np.float32), np.array([0, len(labels)])
    text = [orjson.dumps(reference)]
    return replace(one_row(tokens), labels=numbers, label_ends=ends, references=text)


@pytest.fixture
def examples(tmp_path: Path) -> ShardSet:
    """Two shards, the first of two batches."""
    documents = [np.arange(10 * n, 11 * n, dtype=np.uint16) for n in range(1, 6)]
    rows = [labelled(*pair) for pair in zip(documents, LABELS, REFERENCES, strict=True)]
    shards = []
    for number, part in enumerate((rows[:3], rows[3:])):
        path = tmp_path / f"shard-{number:05d}.arrow"
        with ShardWriter(path, np.uint16, 3, labelled=True) as writer:
            for one in part:
                writer.add(one)
            shards.append(writer.finish())
    counts = Statistics(documents=5, tokens=15, sentences=5, maximum_token=54)
    settings = {"task": {"kind": "classification", "classes": ["no", "yes"]}}
    manifest = Manifest(
        format=2,
        dtype="uint16",
        vocabulary=60,
        tokenizer_sha256="0" * 64,
        statistics=counts,
        settings=settings,
        inputs=(),
        shards=tuple(shards),
    )
    write_datasets_files(tmp_path, manifest)
    manifest.save(tmp_path)
    return ShardSet.open(tmp_path)


def test_labels_come_back_with_their_documents(examples: ShardSet) -> None:
    assert [labels_of(examples, number).tolist() for number in range(5)] == LABELS
    assert [reference_of(examples, number) for number in range(5)] == REFERENCES
    assert task_of(examples) == LabelledTask("classification", ("no", "yes"))


def test_a_slice_keeps_labels_and_references_of_its_documents() -> None:
    parts = [
        labelled(np.arange(2, dtype=np.uint16), *pair)
        for pair in zip(LABELS, REFERENCES, strict=True)
    ]
    rows = replace(
        parts[0],
        tokens=np.concatenate([part.tokens for part in parts]),
        ends=2 * np.arange(6),
        sentences=np.zeros(5, np.int64),
        sentence_ends=np.arange(6),
        labels=np.array([label for labels in LABELS for label in labels], np.float32),
        label_ends=np.cumsum([0, *map(len, LABELS)]),
        references=[one for part in parts for one in part.references or []],
    )
    part = rows.slice(2, 5)
    assert part.labels is not None
    assert part.label_ends is not None
    assert part.labels.tolist() == [0.5, -1.0, 3.0, 1.0, 7.0, 8.0]
    assert part.label_ends.tolist() == [0, 3, 4, 6]
    assert part.references is not None
    assert [*map(orjson.loads, part.references)] == REFERENCES[2:]


def test_rows_are_examples_in_the_order_of_training(examples: ShardSet) -> None:
    source = ExampleRows(examples, 6, padding=59)
    first = ordered(source, 1, 2)
    assert first.tokens.tolist() == [[20, 21, 59, 59, 59, 59], [30, 31, 32, 59, 59, 59]]
    assert first.lengths is not None
    assert first.lengths.tolist() == [2, 3]
    samples = Stream([source], None, seed=1).samples(0, 10)
    assert samples.labels is not None
    assert sorted(samples.indices[:5].tolist()) == [*range(5)]
    found = [labels.tolist() for labels in samples.labels]
    assert found == [LABELS[index] for index in samples.indices.tolist()]
    part = samples[3:5].labels
    assert part is not None
    assert [labels.tolist() for labels in part] == found[3:5]


def test_datasets_opens_a_labelled_set(examples: ShardSet) -> None:
    found = load_from_disk(str(examples.folder))
    assert found["labels"] == LABELS
    assert [*map(orjson.loads, found["reference"])] == REFERENCES
