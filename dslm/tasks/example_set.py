"""A file of labelled records as a shard set, which training reads like any other.

The path of a record: it is read, the task makes an example of it, and this becomes a document with
labels. A record that is no example of the task is left out, counted by its reason and, of the first
ones, named by file and line. The same file, tokenizer and settings give the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from dslm.arrays import Float32Array
from dslm.errors import DataError, Problem
from dslm.files.fingerprint import Input, file_sha256
from dslm.files.whole import appearing_folder
from dslm.progress import counted
from dslm.shards.datasets_files import write_datasets_files
from dslm.shards.labels import TASK, task_of
from dslm.shards.manifest import FILE, Manifest
from dslm.shards.rows import Rows
from dslm.shards.shard_set import ShardSet
from dslm.shards.statistics import EXAMPLES, Statistics
from dslm.shards.writer import ShardWriter
from dslm.tasks.base import Task
from dslm.tasks.coder import Coder
from dslm.tasks.example import Example, Record, UnusableError
from dslm.tasks.records import records

AT_ONCE = 1024
"""Examples that are written together."""
BROKEN = "cannot be read"
CHANGES = {
    "cut": ("shortened", "longer than the model reads, and cut"),
    "inexact": ("inexact", "learned as the nearest tokens, because none ends where it should"),
}
"""What may be done to a record, by the name under which it is counted: the field of `Example` that
says so, and what the user reads."""
SHOWN = 3
"""Records that are left out and named to the user."""


@dataclass(frozen=True)
class Labelling:
    """How examples are made, whatever the file."""

    task: type[Task]
    settings: Any
    """Those of the task."""
    coder: Coder
    classes: tuple[str, ...] | None = None
    """Those of training; `None` = those that occur."""

    def record(self, classes: Sequence[str]) -> dict[str, Any]:
        """What the manifest says of it."""
        framed = {"sequence": self.coder.sequence, "begin": self.coder.begin}
        framed |= {"two_stacks": self.coder.two_stacks}
        task = {"kind": self.task.kind, "classes": [*classes], **framed}
        return {TASK: task, self.task.kind: asdict(self.settings)}


def example_set(path: Path, folder: Path, how: Labelling) -> ShardSet:
    """The examples of a file; where they have been made already, nothing is done.

    Args:
        path: the file, see `records`.
        folder: where they are, or will be.
        how: what they are made of.

    Raises:
        DataError: the file cannot be read, or none of its records is an example.
    """
    source = Input(path.name, path.stat().st_size, file_sha256(path))
    classes = how.classes
    if classes is None:
        found = (record for _, record in records(path) if record is not None)
        classes = how.task.classes(how.settings, found)
    if (folder / FILE).exists():
        made = ShardSet.open(folder)
        same = made.manifest.settings == how.record(classes)
        if same and made.manifest.inputs == (source,) and not made.unlike(*_origin(how)):
            return made
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with appearing_folder(folder) as partial:
        partial.mkdir()
        _write(path, partial, how, classes, source)
    return ShardSet.open(folder)


def summary(path: Path, shards: ShardSet) -> list[str]:
    """What has been made of a file, for the user."""
    statistics, task = shards.manifest.statistics, task_of(shards)
    classes = f", {counted(len(task.classes), 'class')}" if task and task.classes else ""
    lines = [f"{path}: {counted(shards.documents, 'example')}{classes}"]
    lines += [f"  {number:,} {CHANGES[change][1]}" for change, number in statistics.changed.items()]
    left = sum(statistics.left_out.values()) + sum(statistics.broken.values())
    if left:
        lines.append(f"  {counted(left, 'record')} left out, such as")
        lines += [f"    {one}" for one in statistics.examples[:SHOWN]]
    return lines


def _origin(how: Labelling) -> tuple[str, tuple[int, ...], str]:
    tokenizer = how.coder.tokenizer
    return tokenizer.sha256, tokenizer.begin, "the model"


def _write(
    path: Path, folder: Path, how: Labelling, classes: tuple[str, ...], source: Input
) -> None:
    tokenizer, statistics = how.coder.tokenizer, Statistics()
    kept = _examples(path, how, classes, statistics)
    shard = folder / "shard-00000.arrow"
    with ShardWriter(shard, tokenizer.dtype, labelled=True) as writer:
        while some := [*islice(kept, AT_ONCE)]:
            rows = _rows(some, tokenizer.dtype)
            writer.add(rows)
            statistics.text_bytes += int(rows.text_bytes.sum())
            statistics.maximum_token = max(statistics.maximum_token, int(rows.tokens.max()))
        if not writer.documents:
            rule = f"holds no record that is an example for {how.task.kind}"
            fix = "; ".join(statistics.examples[:3]) or "it is empty"
            raise DataError(Problem(str(path), None, rule, fix))
        written = writer.finish()
    statistics.documents = statistics.sentences = written.documents
    statistics.tokens = written.tokens
    manifest = Manifest(
        format=2,
        dtype="uint16" if tokenizer.dtype.itemsize == 2 else "uint32",
        vocabulary=tokenizer.vocabulary,
        tokenizer_sha256=tokenizer.sha256,
        begin=tokenizer.begin,
        statistics=statistics,
        settings=how.record(classes),
        inputs=(source,),
        shards=(written,),
    )
    tokenizer.save(folder / "tokenizer")
    write_datasets_files(folder, manifest)
    manifest.save(folder)


def _examples(
    path: Path, how: Labelling, classes: tuple[str, ...], statistics: Statistics
) -> Iterator[tuple[int, Example]]:
    """The examples of a file and their lines; what is left out is counted."""
    names = set[str]()
    for line, record in records(path):
        name = None if record is None else how.task.name(how.settings, record)
        try:
            if name in names:
                raise UnusableError("is called like one before it")
            examples = _of_record(record, how, classes)
        except UnusableError as cause:
            reason = str(cause)
            counts = statistics.broken if record is None else statistics.left_out
            counts[reason] = counts.get(reason, 0) + 1
            if len(statistics.examples) < EXAMPLES:
                where = f"{path}:{line}" if name is None else f"{path}:{line} ({name})"
                statistics.examples.append(f"{where}: {reason}")
            continue
        names |= set() if name is None else {name}
        for change, (field, _) in CHANGES.items():
            if any(getattr(example, field) for example in examples):
                statistics.changed[change] = statistics.changed.get(change, 0) + 1
        yield from ((line, example) for example in examples)


def _of_record(
    record: Record | None, how: Labelling, classes: tuple[str, ...]
) -> Sequence[Example]:
    if record is None:
        raise UnusableError(BROKEN)
    return how.task.examples(how.settings, record, classes, how.coder)


def _rows(found: Sequence[tuple[int, Example]], dtype: np.dtype[Any]) -> Rows:
    """Some examples, as documents of a sentence each."""
    lines, examples = [line for line, _ in found], [example for _, example in found]
    texts = [example.text.encode() for example in examples]
    labels: Float32Array = np.array([n for one in examples for n in one.labels], np.float32)
    return Rows(
        tokens=np.array([n for one in examples for n in one.ids], dtype),
        ends=np.cumsum([0, *(len(one.ids) for one in examples)]),
        sentences=np.zeros(len(examples), np.int64),
        sentence_ends=np.arange(len(examples) + 1),
        inputs=np.zeros(len(examples), np.int64),
        offsets=np.array(lines, np.int64),
        languages=[""] * len(examples),
        hashes=[hashlib.sha256(text).digest() for text in texts],
        text_bytes=np.array([*map(len, texts)], np.int64),
        labels=labels,
        label_ends=np.cumsum([0, *(len(one.labels) for one in examples)]),
        references=[orjson.dumps(one.reference) for one in examples],
    )
