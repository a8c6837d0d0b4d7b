"""One shard: rows in, one Arrow IPC stream and its line of the manifest out.

The stream format, not the file format, because that is what `datasets` opens; uncompressed, because
only plain buffers can be mapped into memory. Rows are held until they fill a batch; each column of
a batch lies in the file without a gap.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslm.arrays import strings, to_arrow
from dslm.files.fingerprint import file_sha256
from dslm.shards.manifest import RecordBatch, Shard
from dslm.shards.rows import Rows

BATCH_TOKENS = 1 << 22
"""Tokens after which a batch is written: few borders to read across, little memory to write."""


class ShardWriter:
    """Writes one shard; use it in a ``with`` block and call `finish` at its end.

    Args:
        path: the file to make; see `files.whole.appearing` for one that others may see.
        dtype: the type of a token.
        batch_tokens: tokens after which a batch is written.
        labelled: whether the documents are examples of a task, with labels and references.

    Raises:
        OSError: from any method, when the disk is full or not writable.
    """

    def __init__(
        self,
        path: Path,
        dtype: npt.DTypeLike,
        batch_tokens: int = BATCH_TOKENS,
        *,
        labelled: bool = False,
    ) -> None:
        import pyarrow

        self.path, self.dtype, self.batch_tokens = path, np.dtype(dtype), batch_tokens
        self.documents = self.tokens = 0
        self._waiting: list[Rows] = []
        self._waiting_tokens = 0
        self._schema = schema(self.dtype, labelled=labelled)
        self._sink = pyarrow.OSFile(str(self.path), "wb")
        self._stream = pyarrow.ipc.new_stream(self._sink, self._schema)

    @property
    def bytes(self) -> int:
        """Bytes of tokens added so far."""
        return self.tokens * self.dtype.itemsize

    def add(self, rows: Rows) -> None:
        """Append documents."""
        self._waiting.append(rows)
        self._waiting_tokens += rows.tokens.size
        self.documents += len(rows)
        self.tokens += rows.tokens.size
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
            batches=describe_batches(self.path),
        )

    def _flush(self) -> None:
        self._stream.write_batch(record_batch(self._waiting, self._schema))
        self._waiting, self._waiting_tokens = [], 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._sink.close()


def schema(dtype: np.dtype[Any], *, labelled: bool = False) -> Any:
    """The Arrow schema of a shard.

    ``tokens`` and ``sentences`` as in `Rows`; ``input``, ``place`` (the offset) and ``language`` as
    in `Document`; ``sha256`` of the text, which identifies a document; ``labels`` and ``reference``
    (JSON) of the examples of a task.
    """
    import pyarrow as pa

    labels = [("labels", pa.large_list(pa.float32())), ("reference", pa.large_string())]
    return pa.schema(
        [
            ("tokens", pa.large_list(pa.from_numpy_dtype(dtype))),
            ("sentences", pa.large_list(pa.uint32())),
            ("input", pa.uint32()),
            ("place", pa.uint64()),
            ("language", pa.string()),
            ("text_bytes", pa.uint32()),
            ("sha256", pa.binary()),
            *(labels if labelled else []),
        ]
    )


def record_batch(parts: list[Rows], schema: Any) -> Any:
    """Rows as one Arrow record batch."""
    import pyarrow as pa

    def lists(ends: str, values: str, dtype: npt.DTypeLike) -> Any:
        joined = np.concatenate([getattr(rows, values) for rows in parts])
        sizes = np.concatenate([np.diff(getattr(rows, ends)) for rows in parts])
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        array = to_arrow(joined.astype(dtype, copy=False))
        return pa.LargeListArray.from_arrays(to_arrow(offsets), array)

    def joined(name: str, dtype: npt.DTypeLike) -> Any:
        return to_arrow(np.concatenate([getattr(rows, name) for rows in parts]).astype(dtype))

    labels = []
    if "labels" in schema.names:
        references = [one for rows in parts for one in rows.references or [b"null"] * len(rows)]
        labels = [lists("label_ends", "labels", np.float32), strings(references, pa.large_string())]
    return pa.record_batch(
        [
            lists("ends", "tokens", parts[0].tokens.dtype),
            lists("sentence_ends", "sentences", np.uint32),
            joined("inputs", np.uint32),
            joined("offsets", np.uint64),
            strings([name.encode() for rows in parts for name in rows.languages], pa.string()),
            joined("text_bytes", np.uint32),
            strings([digest for rows in parts for digest in rows.hashes], pa.binary()),
            *labels,
        ],
        schema=schema,
    )


def describe_batches(path: Path) -> tuple[RecordBatch, ...]:
    """What each record batch of an Arrow stream holds and where, as Arrow's reader sees it."""
    import pyarrow

    with pyarrow.memory_map(str(path)) as source:
        content = source.read_buffer()
        return tuple(
            _describe(batch, content.address) for batch in pyarrow.ipc.open_stream(content)
        )


def _describe(batch: Any, origin: int) -> RecordBatch:
    tokens, sentences = batch.column("tokens"), batch.column("sentences")

    def addresses(column: Any) -> tuple[int, int]:
        values = column.values.buffers()[1]
        # An array without values may have no address: any will do to read nothing.
        at = values.address - origin if len(column.values) else column.buffers()[1].address - origin
        return at, column.buffers()[1].address - origin

    labels = dict[str, int]()
    if "labels" in batch.schema.names:
        column = batch.column("labels")
        at, ends_at = addresses(column)
        labels = {"labels": len(column.values), "labels_at": at, "label_ends_at": ends_at}
        _, ends, text = batch.column("reference").buffers()
        labels |= {"references": text.size, "references_at": text.address - origin}
        labels |= {"reference_ends_at": ends.address - origin}
    return RecordBatch(
        documents=batch.num_rows,
        tokens=len(tokens.values),
        sentences=len(sentences.values),
        tokens_at=addresses(tokens)[0],
        ends_at=addresses(tokens)[1],
        sentences_at=addresses(sentences)[0],
        sentence_ends_at=addresses(sentences)[1],
        **labels,
    )
