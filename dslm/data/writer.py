"""One shard: documents in, one Arrow IPC stream and its line of the manifest out.

The stream format, not the file format, because that is what `datasets` opens; uncompressed, because
only plain buffers can be mapped into memory. Documents are held until they fill a batch; a batch is
written as one record batch whose token buffer lies in the file without a gap.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.data.manifest import Batch, Shard
from dslm.files import file_sha256

BATCH_TOKENS = 1 << 22
"""Tokens after which a batch is written: few borders to read across, little memory to write."""

Tokens = npt.NDArray[Any]


class ShardWriter:
    """Writes one shard; use it in a ``with`` block and call `finish` at its end.

    Args:
        path: the file to make.
        dtype: the type of a token.
        batch_tokens: tokens after which a batch is written.

    Raises:
        OSError: from any method, when the disk is full or not writable.
    """

    def __init__(self, path: Path, dtype: npt.DTypeLike, batch_tokens: int = BATCH_TOKENS) -> None:
        import pyarrow

        self.path, self.dtype, self.batch_tokens = path, np.dtype(dtype), batch_tokens
        self.documents = self.tokens = 0
        self._waiting: list[Tokens] = []
        self._waiting_tokens = 0
        column = pyarrow.field("tokens", pyarrow.large_list(pyarrow.from_numpy_dtype(self.dtype)))
        self._schema = pyarrow.schema([column])
        self._sink = pyarrow.OSFile(str(path), "wb")
        self._stream = pyarrow.ipc.new_stream(self._sink, self._schema)

    @property
    def bytes(self) -> int:
        """Bytes of tokens added so far."""
        return self.tokens * self.dtype.itemsize

    def add(self, document: Tokens) -> None:
        """Append one document: its token ids, end of document included."""
        self._waiting.append(document)
        self._waiting_tokens += document.size
        self.documents += 1
        self.tokens += document.size
        if self._waiting_tokens >= self.batch_tokens:
            self._flush()

    def finish(self) -> Shard:
        """Complete the file and describe it."""
        if self._waiting:
            self._flush()
        self._stream.close()
        self._sink.close()
        return Shard(
            file=self.path.name,
            bytes=self.path.stat().st_size,
            sha256=file_sha256(self.path),
            documents=self.documents,
            tokens=self.tokens,
            batches=token_batches(self.path),
        )

    def _flush(self) -> None:
        import pyarrow

        ends = np.cumsum([0, *(document.size for document in self._waiting)])
        values = np.concatenate(self._waiting).astype(self.dtype, copy=False)
        rows = pyarrow.LargeListArray.from_arrays(pyarrow.array(ends), pyarrow.array(values))
        self._stream.write_batch(pyarrow.record_batch([rows], schema=self._schema))
        self._waiting, self._waiting_tokens = [], 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sink.close()


def token_batches(path: Path) -> tuple[Batch, ...]:
    """Where the tokens of each record batch lie in an Arrow stream, as Arrow's reader sees it."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as source:
        content = source.read_buffer()
        rows = [batch.column(0) for batch in pyarrow.ipc.open_stream(content)]
        return tuple(
            Batch(offset=row.values.buffers()[1].address - content.address, tokens=len(row.values))
            for row in rows
        )
