"""The names of numpy's array types, and numpy's arrays as Arrow's and back, in place.

Arrow's own conversions load pandas when it is installed, which takes each worker half a second and
40 MB to convert what is laid out alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
UInt64Array = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
Tokens = npt.NDArray[Any]


def to_arrow(values: npt.NDArray[Any]) -> Any:
    """Numbers as an Arrow array."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, values.size, [None, pa.py_buffer(values)])


def strings(values: Sequence[bytes], kind: Any) -> Any:
    """Bytes or texts in UTF-8 as an Arrow array of `pyarrow.string`, `large_string` or `binary`."""
    import pyarrow as pa

    size = np.int64 if pa.types.is_large_string(kind) else np.int32
    ends = np.cumsum([0, *map(len, values)], dtype=size)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers)


def to_numpy(values: Any) -> npt.NDArray[Any]:
    """Numbers of an Arrow array, none of them missing, as they lie in memory."""
    kind = np.dtype(str(values.type))
    return np.frombuffer(values.buffers()[1], kind)[values.offset : values.offset + len(values)]
