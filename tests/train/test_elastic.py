"""A run that goes on with other ranks keeps its batch, and reads each sample once."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from dslm.parallel.plan import ACCUMULATION, MICRO, Plan
from dslm.run.folder import RunFolder
from dslm.sampling.stream import Samples, Stream
from dslm.train.batches import training_batch
from dslm.train.elastic import kept_batch


class Numbers:
    """A stream of which only the numbers of the samples matter."""

    def samples(self, first: int, count: int) -> Samples:
        numbers = np.arange(first, first + count)
        return Samples(numbers[:, None].astype(np.uint16), numbers, numbers)


OBJECTIVE: Any = SimpleNamespace(
    batch=lambda samples: (torch.from_numpy(samples.numbers), torch.zeros(1))
)
starts = some.lists(
    some.tuples(*(some.integers(1, 5) for _ in range(5))).map(
        lambda n: (Plan(n[0] * n[1], n[1], 0, n[2], n[3], 16), n[4])
    ),
    min_size=1,
    max_size=5,
)
"""Layouts one after another, each with the number of its steps."""


@given(starts=starts)
def test_no_sample_is_repeated_or_missing_whatever_the_layouts(
    starts: list[tuple[Plan, int]],
) -> None:
    read: list[int] = []
    for plan, steps in starts:
        for _ in range(steps):
            first, step = len(read), []
            for replica in range(plan.replicas):
                batches = training_batch(
                    cast("Stream", Numbers()), plan, OBJECTIVE, first, replica, "cpu"
                )
                step += [n for inputs, _ in batches for n in cast("Any", inputs).tolist()]
            read += step
    assert read == list(range(len(read)))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """The folder of a run that had a batch of 16 = 2 × 4 × 2 replicas."""
    folder = RunFolder(tmp_path)
    folder.checkpoint(3).mkdir(parents=True)
    folder.write_record(
        {"config": {}, "deepspeed": {MICRO: 2, ACCUMULATION: 4}, "plan": {"batch": 16}}
    )
    return folder


@pytest.mark.parametrize(
    ("deepspeed", "kept"),
    [
        ({MICRO: 2, ACCUMULATION: 4}, 16),
        ({MICRO: 2, ACCUMULATION: 8}, None),
        ({MICRO: 4, ACCUMULATION: 4}, None),
        ({MICRO: 2, "train_batch_size": 32}, None),
    ],
)
def test_the_batch_is_kept_unless_the_json_asks_for_another(
    deepspeed: dict[str, int], kept: int | None, folder: RunFolder
) -> None:
    assert kept_batch(folder, deepspeed) == kept


def test_a_run_without_a_checkpoint_or_with_a_broken_record_keeps_none(folder: RunFolder) -> None:
    same = {MICRO: 2, ACCUMULATION: 4}
    folder.record.write_text(json.dumps({"format": 1, "config": {}}))
    assert kept_batch(folder, same) is None
    folder.record.write_text("{")
    assert kept_batch(folder, same) is None
    folder.checkpoint(3).rmdir()
    assert kept_batch(folder, same) is None
