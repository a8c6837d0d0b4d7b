"""Tensors are summed up piece by piece as numpy sums them up whole; nothing damaged is read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import cut_manifest, lose, save, truncate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file

from dslm.errors import CheckpointError
from dslm.run import checkpoint_tensors
from dslm.run.checkpoint_tensors import is_moment, open_tensors, selected, summarize
from dslm.run.tensor_file import TensorFile, write_tensors

NUMBERS = st.floats(width=32, allow_nan=True, allow_infinity=True)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=arrays.arrays(np.float32, SHAPES, elements=NUMBERS), block=st.integers(1, 50))
def test_a_summary_is_that_of_the_finite_numbers(
    whole: np.ndarray, block: int, tmp_path: Path
) -> None:
    write_tensors(tmp_path / "file", {"a": whole})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_tensors, "BLOCK", block)
        read: list[int] = []
        summary = summarize("a", TensorFile(tmp_path / "file"), read.append)
    finite = whole[np.isfinite(whole)].astype(np.float64)
    assert (summary.shape, summary.dtype, summary.count) == (whole.shape, "F32", whole.size)
    assert summary.non_finite == whole.size - finite.size
    assert sum(read) == whole.size
    assert max(read, default=0) <= block
    assert summary.norm == pytest.approx(float(np.linalg.norm(finite)), rel=1e-12)
    if not finite.size:
        assert (summary.minimum, summary.maximum, summary.mean) == (None, None, None)
        return
    assert (summary.minimum, summary.maximum) == (finite.min(), finite.max())
    assert summary.mean == pytest.approx(finite.mean(), rel=1e-9, abs=1e-9 * np.abs(finite).max())


def test_bfloat16_is_read_as_the_numbers_it_holds(tmp_path: Path) -> None:
    whole = torch.tensor([1.5, -2.0, float("inf"), 3e38], dtype=torch.bfloat16)
    save_file({"a": whole}, tmp_path / "file")
    summary = summarize("a", TensorFile(tmp_path / "file"))
    assert (summary.dtype, summary.non_finite, summary.minimum) == ("BF16", 1, -2.0)
    assert summary.maximum == float(whole[3])


def test_weights_and_moments_of_all_layers_are_found(tmp_path: Path) -> None:
    tensors = open_tensors(save(tmp_path, 10))
    names = ["0.embedding.weight", "2.attention.weight#exp_avg", "2.attention.weight"]
    assert list(tensors) == names
    assert [is_moment(name) for name in names] == [False, True, False]
    assert summarize(names[2], tensors[names[2]]).mean == 10.0


@pytest.mark.parametrize(
    ("pattern", "count"),
    [(None, 3), ("*", 3), ("2.*", 2), ("2.attention.weight", 2), ("*#exp_avg", 1)],
)
def test_a_pattern_selects_a_weight_with_its_moments(
    pattern: str | None, count: int, tmp_path: Path
) -> None:
    assert len(selected(open_tensors(save(tmp_path, 10)), pattern)) == count


@pytest.mark.parametrize(
    ("pattern", "fix"),
    [
        ("2.attention.weighs", "did you mean '2.attention.weight'?"),
        ("zzz", r"use '\*zzz\*'"),
        ("*zzz*", "there is, for example, 0.embedding.weight"),
    ],
)
def test_a_pattern_that_fits_nothing_is_refused(pattern: str, fix: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=fix):
        selected(open_tensors(save(tmp_path, 10)), pattern)


@pytest.mark.parametrize("harm", [truncate, lose, cut_manifest])
def test_a_damaged_checkpoint_is_not_read(harm: object, tmp_path: Path) -> None:
    save(tmp_path / "checkpoints", 10)
    file = harm(tmp_path, 10)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=file.name):
        open_tensors(file.parent)


HEADERS = [
    b"{",
    b"[]",
    b'{"a": 3}',
    b'{"a": {"dtype": "F32", "shape": [2]}}',
    b'{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": [99], "data_offsets": [0, 396]}}',
    b'{"a": {"dtype": "F33", "shape": [2], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [8, 0]}}',
    b'{"a": {"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}}',
    b'{"a": {"dtype": "F32", "shape": ["2"], "data_offsets": ["0", 8]}}',
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_contradicts_itself_is_refused(header: bytes, tmp_path: Path) -> None:
    folder = save(tmp_path, 10, {"0.a": torch.zeros(2)})
    content = len(header).to_bytes(8, "little") + header + bytes(8)
    (folder / "layer-0000.safetensors").write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["layer-0000.safetensors"]["bytes"] = len(content)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"layer-0000\.safetensors: is damaged"):
        open_tensors(folder)
