"""What differs between two checkpoints is what numpy finds in their whole tensors."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dslm.run import checkpoint_tensors
from dslm.run.checkpoint_diff import Other, diff_tensors, diff_values
from dslm.run.tensor_file import TensorFile, write_tensors

Arrays = dict[str, np.ndarray]
SHAPES = st.sampled_from([(), (0,), (1,), (2, 3), (3, 2)])
NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e-30, 3e38, math.inf, -math.inf, math.nan])
TENSORS = st.dictionaries(
    st.sampled_from(["0.a", "1.b", "1.b#exp_avg", "2.c", "3.d"]),
    arrays.arrays(np.float32, SHAPES, elements=NUMBERS),
)


def opened(folder: Path, name: str, tensors: Arrays) -> dict[str, TensorFile]:
    write_tensors(folder / name, tensors)
    return dict.fromkeys(sorted(tensors), TensorFile(folder / name))


def relative(old: np.ndarray, new: np.ndarray) -> float:
    """The oracle, of whole tensors."""
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    if not np.isfinite(old[~same]).all() or not np.isfinite(new[~same]).all():
        return math.nan
    moved = np.linalg.norm((new.astype(np.float64) - old)[~same])
    length = np.linalg.norm(old[np.isfinite(old)].astype(np.float64))
    return float(moved / length) if length else math.inf


@settings(max_examples=200)
@given(before=TENSORS, after=TENSORS, block=st.integers(1, 9))
def test_a_diff_names_exactly_what_differs(before: Arrays, after: Arrays, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_tensors, "BLOCK", block)
        files = (opened(Path(folder), *one) for one in (("old", before), ("new", after)))
        changes = diff_tensors(*files)
    kinds = {change.name: change.kind for change in changes}
    assert len(kinds) == len(changes)
    both = before.keys() & after.keys()
    reshaped = {name for name in both if before[name].shape != after[name].shape}
    changed = {
        name
        for name in both - reshaped
        if not np.array_equal(before[name], after[name], equal_nan=True)
    }
    assert kinds == {
        **dict.fromkeys(after.keys() - before.keys(), "added"),
        **dict.fromkeys(before.keys() - after.keys(), "removed"),
        **dict.fromkeys(reshaped, "reshaped"),
        **dict.fromkeys(changed, "changed"),
    }
    sizes = []
    for change in changes:
        shapes = tuple(
            one[change.name].shape if change.name in one else None for one in (before, after)
        )
        assert (change.before, change.after) == shapes
        if change.kind == "changed":
            assert change.relative is not None
            with np.errstate(invalid="ignore"):
                expected = relative(before[change.name], after[change.name])
            assert change.relative == pytest.approx(expected, rel=1e-12, nan_ok=True)
            sizes.append(change.relative)
    finite = [size for size in sizes if not math.isnan(size)]
    assert sizes[: len(sizes) - len(finite)] == pytest.approx(
        [math.nan] * (len(sizes) - len(finite)), nan_ok=True
    )
    assert finite == sorted(finite, reverse=True)


def test_what_is_not_finite_comes_first_then_the_largest_change(tmp_path: Path) -> None:
    values = {"0.a": 1, "0.b": 1, "0.c": 0, "0.d": 4}
    before = {name: np.array([value], np.float32) for name, value in values.items()}
    after = {**before, "0.a": before["0.a"] * 3, "0.b": before["0.b"] * np.nan}
    after |= {"0.c": np.ones(1, np.float32), "0.d": np.full(1, 5, np.float32)}
    changes = diff_tensors(opened(tmp_path, "old", before), opened(tmp_path, "new", after))
    assert [(one.name, one.relative) for one in changes[1:]] == [
        ("0.c", math.inf),
        ("0.a", 2.0),
        ("0.d", 0.25),
    ]
    assert changes[0].name == "0.b"
    assert math.isnan(changes[0].relative or 0.0)


@given(TENSORS)
def test_nothing_differs_from_itself(tensors: Arrays) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = opened(Path(folder), "file", tensors)
        read: list[int] = []
        assert diff_tensors(files, files, read.append) == []
    assert sum(read) == sum(array.size for array in tensors.values())


def test_values_are_compared_by_their_dotted_keys() -> None:
    before = {"a": {"b": 1, "c": [1]}, "d": None, "gone": 0}
    after = {"a": {"b": 2, "c": [1]}, "d": None, "new": "x"}
    assert diff_values(before, after) == [
        Other("a.b", 1, 2),
        Other("gone", 0, None),
        Other("new", None, "x"),
    ]
