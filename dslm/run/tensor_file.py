"""Named float32 tensors in one safetensors file: hashed while written, read a part at a time.

The format (https://huggingface.co/docs/safetensors): 8 bytes with the length of the header, the
header as JSON, which gives each tensor's type, shape and place, then the numbers, row after row.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

CHUNK = 1 << 24
"""Bytes written, and hashed, at once."""

Numbers = npt.NDArray[np.float32]
TYPES = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "F64": np.float64}
"""How numpy reads the types that a file may hold; bfloat16 is the upper half of float32."""


def write_tensors(path: Path, tensors: Mapping[str, Numbers]) -> tuple[int, str]:
    """Write a file, byte by byte the one that the safetensors library writes.

    Args:
        path: the file.
        tensors: what it is to hold.

    Returns:
        Its bytes and its sha256; on return they are on the disk.

    Raises:
        OSError: most often because the disk is full.
    """
    header, end = dict[str, Any](), 0
    for name in sorted(tensors):
        place, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [place, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    with path.open("wb", buffering=0) as file:
        start = np.frombuffer(len(text).to_bytes(8, "little") + text, np.uint8)
        arrays = (np.ascontiguousarray(tensors[name], np.float32) for name in header)
        for part in chain([start], (array.reshape(-1).view(np.uint8) for array in arrays)):
            left = part.data
            while left:
                written = file.write(left[:CHUNK])
                digest.update(left[:written])
                left = left[written:]
        size = file.tell()
        os.fsync(file.fileno())
    return size, digest.hexdigest()


class TensorFile:
    """A file of tensors, opened to read parts of them.

    Args:
        path: the file, whose checksum has been compared.

    Raises:
        ValueError: it is no safetensors file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb", buffering=0) as file:
            length = int.from_bytes(file.read(8), "little")
            if length > os.fstat(file.fileno()).st_size:
                raise ValueError(f"{path} is no safetensors file")
            self._header = json.loads(os.pread(file.fileno(), length, 8))
        if not isinstance(self._header, dict):
            raise ValueError(f"{path} is no safetensors file")
        self._origin = 8 + length

    @property
    def names(self) -> list[str]:
        """The names of its tensors."""
        return [name for name in self._header if name != "__metadata__"]

    def dtype(self, name: str) -> str:
        """The type of a tensor's numbers, as safetensors names it, such as BF16."""
        return str(self._header[name]["dtype"])

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        return tuple(self._header[name]["shape"])

    def check(self) -> None:
        """Compare the header with itself and with the size of the file.

        Raises:
            ValueError: a tensor has another size than its type and shape say, or is not there.
        """
        size = self._path.stat().st_size - self._origin
        for name in self.names:
            try:
                begin, end = self._header[name]["data_offsets"]
                each, count = np.dtype(TYPES[self.dtype(name)]).itemsize, prod(self.shape(name))
                fits = 0 <= begin <= end <= size and end - begin == count * each
                whole = fits and isinstance(count, int)
            except (KeyError, TypeError, ValueError, AttributeError):
                whole = False
            if not whole:
                raise ValueError(f"{self._path}: the header is wrong about {name}")

    def read(self, name: str, start: int, stop: int) -> Numbers:
        """The numbers of a tensor from one place to before another, reading no byte besides.

        Args:
            name: of the tensor.
            start: the first place, of the tensor flattened.
            stop: the place behind the last one.
        """
        kind = TYPES[self._header[name]["dtype"]]
        size = np.dtype(kind).itemsize
        first = self._origin + self._header[name]["data_offsets"][0] + start * size
        found = np.empty(stop - start, kind)
        left = found.view(np.uint8).data
        with self._path.open("rb", buffering=0) as file:
            file.seek(first)
            while left:
                count = file.readinto(left)
                if not count:
                    raise EOFError(f"{self._path}: ends within {name}")
                left = left[count:]
        if kind is np.uint16:
            return (found.astype(np.uint32) << 16).view(np.float32)
        return found.astype(np.float32, copy=False)
