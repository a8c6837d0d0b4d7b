"""The record of steps that were left out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.run.bad_steps import Gaps, SkippedSamples, SkippedSteps, gaps_of, read_skipped

STEPS = [SkippedSamples(step, 16 * (step - 1), 16, "the loss is nan") for step in (3, 5, 8)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "skipped.jsonl"


def test_what_is_written_down_is_read_back(path: Path) -> None:
    skipped = SkippedSteps(path, 0)
    assert not path.exists()
    for one in STEPS:
        skipped.add(one)
    assert read_skipped(path) == STEPS
    assert skipped.lines == STEPS


def test_a_run_that_goes_on_forgets_the_steps_that_it_makes_again(path: Path) -> None:
    for one in STEPS:
        SkippedSteps(path, 9).add(one)
    resumed = SkippedSteps(path, 5)
    assert read_skipped(path) == STEPS[:2]
    assert resumed.lines == STEPS[:2]


def test_what_a_rewind_passes_over_is_kept_whatever_the_run_goes_on_from(path: Path) -> None:
    rewind = SkippedSamples(9, 32, 112, "a spike", rewound_to=2)
    SkippedSteps(path, 9).add(rewind)
    assert SkippedSteps(path, 2).lines == [rewind]
    assert gaps_of(read_skipped(path)) == Gaps((range(32, 144),))


@given(
    borders=some.lists(some.tuples(some.integers(0, 30), some.integers(1, 10)), max_size=5),
    batch=some.integers(1, 20),
)
def test_steps_pass_over_gaps_and_read_all_else_once(
    borders: list[tuple[int, int]], batch: int
) -> None:
    """Gaps begin and end with a step, as rewinds make them, and may overlap."""
    lines = [
        SkippedSamples(1, first * batch, length * batch, "a spike", 1) for first, length in borders
    ]
    gaps = gaps_of(lines)
    read: list[int] = []
    sample = 0
    for _ in range(50):
        first = gaps.next(sample, batch)
        assert gaps.sample(len(read)) == first
        assert gaps.without(first) == len(read)
        sample = first + batch
        read += range(first, sample)
    passed = {one.first_sample + n for one in lines for n in range(one.samples)}
    assert read == [number for number in range(sample) if number not in passed]


def test_a_line_cut_by_a_kill_is_passed_over(path: Path) -> None:
    for one in STEPS:
        SkippedSteps(path, 9).add(one)
    path.write_text(path.read_text()[:-20])
    assert read_skipped(path) == STEPS[:2]
