"""The tensors that a folder's weight files hold: named and measured at once, read one at a time.

Safetensors and what `torch.save` wrote are both read as data; a pickle that holds anything but
tensors is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dslm.errors import CheckpointError, Problem, Problems
from dslm.files.names import printable
from dslm.hub.weight_files import AGAIN, weight_files

FLOATS = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file."""

    path: Path
    shape: tuple[int, ...]
    dtype: str
    load: Callable[[], Tensor]

    def read(self) -> Tensor:
        """The tensor in float32."""
        return self.load().to(torch.float32)


def stored(folder: Path) -> dict[str, Stored]:
    """The tensors of all weight files of a folder.

    Raises:
        UserError: there are none, or files are missing or damaged; all are reported.
    """
    found = Problems()
    tensors: dict[str, Stored] = {}
    for path in weight_files(folder):
        tensors |= found.collect(_open, path) or {}
    if found.problems:
        raise CheckpointError(*found.problems)
    return tensors


def _open(path: Path) -> dict[str, Stored]:
    if not path.is_file():
        rule, fix = "no such file, but the index names it", "get it as well"
        raise CheckpointError(Problem(printable(str(path)), None, rule, fix))
    return dict(_safetensors(path) if path.suffix == ".safetensors" else _pickled(path))


def _safetensors(path: Path) -> Iterator[tuple[str, Stored]]:
    from safetensors import SafetensorError, safe_open

    try:
        file: Any = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_damaged(path, error)) from None
    for name in file.keys():  # noqa: SIM118
        part = file.get_slice(name)
        load = partial(file.get_tensor, name)
        yield name, Stored(path, tuple(part.get_shape()), part.get_dtype(), load)


def _pickled(path: Path) -> Iterator[tuple[str, Stored]]:
    """The tensors of a file that `torch.save` wrote, mapped from disk."""
    if not zipfile.is_zipfile(path):
        rule = "is not in PyTorch's format since 1.6, or is cut short"
        fix = "get it as safetensors, or save it again with a PyTorch you trust it with"
        raise CheckpointError(Problem(str(path), None, rule, fix))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # what a made-up file raises depends on who made it up
        if "Weights only" not in str(error):
            raise CheckpointError(_damaged(path, error)) from None
        rule = "holds code or objects besides tensors, so it is not opened"
        raise CheckpointError(Problem(str(path), None, rule, "get it as safetensors")) from None
    if not isinstance(content, dict):
        raise CheckpointError(Problem(str(path), None, "holds no tensors by name", AGAIN))
    names = {dtype: name for name, dtype in FLOATS.items()}
    for name, tensor in content.items():
        if not _is_whole(tensor):
            where = f"{path}: {printable(str(name))}"
            raise CheckpointError(Problem(where, None, "is not a plain tensor", AGAIN))
        dtype = names.get(tensor.dtype, str(tensor.dtype))
        yield str(name), Stored(path, tuple(tensor.shape), dtype, tensor.clone)


def _is_whole(tensor: Any) -> bool:
    """Whether something is a tensor whose every value lies in the file."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


def _damaged(path: Path, error: Exception) -> Problem:
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return Problem(str(path), None, f"is damaged or cut short ({reason})", AGAIN)
