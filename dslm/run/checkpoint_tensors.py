"""The tensors of a checkpoint, a piece at a time: names from the heads of files, then numbers.

Nothing here needs torch, and no tensor is ever in memory as a whole.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from pathlib import Path

import numpy as np

from dslm.errors import CheckpointError, Problem, suggest
from dslm.progress import Advance
from dslm.run.checkpoint import listed, verify_sizes
from dslm.run.tensor_file import Numbers, TensorFile

BLOCK = 1 << 22
"""Numbers read at once: 16 MiB of float32."""

Tensors = Mapping[str, TensorFile]
"""Which file holds each tensor, weights as well as moments, in the order of the layers."""


@dataclass(frozen=True)
class Summary:
    """A tensor in a few numbers; all but `non_finite` are of its finite numbers."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    """As safetensors names it."""
    minimum: float | None
    """`None` where there is no finite number."""
    maximum: float | None
    mean: float | None
    norm: float
    """The square root of the sum of squares."""
    non_finite: int

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


def stored_moments(folder: Path) -> frozenset[str]:
    """The names of the moments in a checkpoint, such as exp_avg, from the heads of its files.

    Raises:
        ValueError: there are no weights, or some file is no safetensors file.
    """
    if not any(folder.glob("layer-*.safetensors")):
        raise ValueError(f"{folder} holds no weights")
    names: set[str] = set()
    for file in folder.glob("layer-*.optimizer.safetensors"):
        names.update(name.rpartition("#")[2] for name in TensorFile(file).names)
    return frozenset(names)


def open_tensors(checkpoint: Path) -> Tensors:
    """Look up the tensors of a checkpoint, in the heads of the files that its manifest names.

    Raises:
        CheckpointError: it is damaged, as far as can be seen without reading every byte.
    """
    files, _ = listed(checkpoint)
    problems = verify_sizes(checkpoint)
    if problems:
        raise CheckpointError(*problems)
    found: dict[str, TensorFile] = {}
    names = {file.path.name for file in files}
    for name in sorted(name for name in names if re.fullmatch(r"layer-.*\.safetensors", name)):
        try:
            file = TensorFile(checkpoint / name)
            file.check()
            found.update(dict.fromkeys(sorted(file.names), file))
        except (OSError, ValueError, AttributeError, OverflowError) as error:
            fix = "see dslm checkpoint verify"
            where = str(checkpoint / name)
            problems.append(Problem(where, None, f"is damaged: {error}", fix))
    if problems:
        raise CheckpointError(*problems)
    return found


def is_moment(name: str) -> bool:
    """Whether a tensor is part of the optimizer's state and no weight."""
    return "#" in name


def selected(tensors: Tensors, pattern: str | None) -> Tensors:
    """The tensors whose name, with or without that of the moment, fits a pattern of the shell.

    Raises:
        CheckpointError: there is none.
    """
    if pattern is None:
        return tensors
    fits = {
        name: file
        for name, file in tensors.items()
        if fnmatchcase(name, pattern) or fnmatchcase(name.partition("#")[0], pattern)
    }
    if not fits:
        fix = f"there is, for example, {next(iter(tensors), 'none')}"
        if not set(pattern) & set("*?["):
            fix = suggest(pattern, tensors, f"for a part of a name use '*{pattern}*'")
        raise CheckpointError(Problem("--tensor", pattern, "fits no tensor", fix))
    return fits


def blocks(file: TensorFile, name: str) -> Iterator[Numbers]:
    """The numbers of a tensor, flattened, in blocks."""
    count = prod(file.shape(name))
    for start in range(0, count, BLOCK):
        yield file.read(name, start, min(start + BLOCK, count))


def summarize(name: str, file: TensorFile, advance: Advance | None = None) -> Summary:
    """Read a tensor and sum it up.

    Args:
        name: of the tensor.
        file: which holds it.
        advance: called with how many numbers were read.
    """
    least, most, total, squares, finite, seen = math.inf, -math.inf, 0.0, 0.0, 0, 0
    for block in blocks(file, name):
        numbers = block[np.isfinite(block)].astype(np.float64)
        seen += block.size
        if numbers.size:
            finite += numbers.size
            least, most = min(least, float(numbers.min())), max(most, float(numbers.max()))
            total += float(numbers.sum())
            squares += float(numbers @ numbers)
        if advance is not None:
            advance(block.size)
    some = finite > 0
    return Summary(
        name=name,
        shape=file.shape(name),
        dtype=file.dtype(name),
        minimum=least if some else None,
        maximum=most if some else None,
        mean=total / finite if some else None,
        norm=math.sqrt(squares),
        non_finite=seen - finite,
    )
