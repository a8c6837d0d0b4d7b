"""The shards that a unit of work writes for a set, each closed by the document that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dslm.files.whole import appearing
from dslm.preprocess.document import Document
from dslm.preprocess.text.invisible import count_invisible
from dslm.preprocess.work.folder import SetRecord, WorkFolder
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.manifest import Shard
from dslm.shards.rows import Rows
from dslm.shards.statistics import Statistics, count
from dslm.shards.writer import ShardWriter


class UnitWriter:
    """Writes shards into the work folder; use it in a ``with`` block and call `finish` at its end.

    Args:
        folder: where to write.
        unit: the number of the unit.
        name: the set.
        dtype: the type of a token.
        sharding: how large a shard is.
    """

    def __init__(
        self,
        folder: WorkFolder,
        unit: int,
        name: str,
        dtype: npt.DTypeLike,
        sharding: ShardingConfig,
    ) -> None:
        self._folder, self._dtype, self._most = folder, np.dtype(dtype), sharding.shard_size
        self._begin = f"shard-{unit:05d}-{name}-" if name else f"shard-{unit:05d}-"
        self._statistics, self._shards = Statistics(), list[Shard]()
        self._writer: ShardWriter | None = None
        self._file = ExitStack()

    def add(self, rows: Rows, documents: Sequence[Document]) -> None:
        """Append documents, tokenized."""
        self._statistics.add(count(rows))
        invisible = count_invisible([document.text for document in documents])
        self._statistics.add(Statistics(invisible=invisible))
        while len(rows):
            writer = self._writer = self._writer or self._opened()
            size = rows.ends * self._dtype.itemsize
            fitting = min(int(np.searchsorted(size, self._most - writer.bytes)), len(rows))
            writer.add(rows.slice(0, fitting))
            rows = rows.slice(fitting, len(rows))
            if writer.bytes >= self._most:
                self._close(writer)

    def finish(self) -> SetRecord:
        """Complete the last shard and describe all."""
        if self._writer:
            self._close(self._writer)
        return SetRecord(self._statistics, tuple(self._shards))

    def _name(self) -> str:
        return f"{self._begin}{len(self._shards):05d}.arrow"

    def _opened(self) -> ShardWriter:
        path = self._file.enter_context(appearing(self._folder.file(self._name())))
        return self._file.enter_context(ShardWriter(path, self._dtype))

    def _close(self, writer: ShardWriter) -> None:
        made = replace(writer.finish(), file=self._name())
        self._file.close()  # the file appears
        self._shards.append(made)
        self._writer = None

    def __enter__(self) -> UnitWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.__exit__(*error)  # type: ignore[arg-type]
