"""Tensor files are those of the safetensors library, byte by byte, and can be read in parts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dslm.run import tensor_file
from dslm.run.tensor_file import TensorFile, write_tensors

SHAPES = st.lists(st.integers(0, 7), max_size=3).map(tuple)
NAMES = st.text(st.sampled_from("abz019._#"), min_size=1, max_size=9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes=st.dictionaries(NAMES, SHAPES, max_size=5), chunk=st.integers(1, 99))
def test_a_file_is_the_one_that_safetensors_writes(
    shapes: dict[str, tuple[int, ...]], chunk: int, tmp_path: Path
) -> None:
    arrays = {
        name: np.random.default_rng(len(name)).normal(size=shape).astype(np.float32)
        for name, shape in shapes.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensor_file, "CHUNK", chunk)
        size, sha256 = write_tensors(tmp_path / "ours", arrays)
    save_file({n: torch.from_numpy(a.copy()) for n, a in arrays.items()}, tmp_path / "theirs")
    written = (tmp_path / "ours").read_bytes()
    assert written == (tmp_path / "theirs").read_bytes()
    assert (size, sha256) == (len(written), hashlib.sha256(written).hexdigest())


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_any_part_of_a_tensor_is_read_as_float32(kind: torch.dtype, tmp_path: Path) -> None:
    whole = {"a": torch.randn(3, 5).to(kind), "b": torch.randn(4, 7, 2).to(kind)}
    save_file(whole, tmp_path / "file")
    file = TensorFile(tmp_path / "file")
    for name, tensor in load_file(tmp_path / "file").items():
        for start, stop in ((0, tensor.numel()), (4, 9), (3, 3), (tensor.numel() - 1,) * 2):
            read = torch.from_numpy(file.read(name, start, stop))
            assert torch.equal(read, tensor.flatten()[start:stop].float())


def test_a_file_that_ends_too_early_is_not_read_for_ever(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", {"a": np.ones(9, np.float32)})
    file = TensorFile(tmp_path / "file")
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-4])
    with pytest.raises(EOFError, match="ends within a"):
        file.read("a", 0, 9)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\xff" * 8, bytes(8) + b"{"])
def test_a_file_of_another_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"no safetensors file|Expecting value"):
        TensorFile(tmp_path / "file")


def test_a_full_disk_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="No space left"):
        write_tensors(Path("/dev/full"), {"a": np.ones(9, np.float32)})
