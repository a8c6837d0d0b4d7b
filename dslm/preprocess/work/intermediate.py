"""Documents out of their files, through cleaning; and, when duplicates are sought, on the disk.

Whether a document is a duplicate is known only when all have been looked at. So the cleaned texts
are kept in Arrow files, in which any one of them can be read again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

from dslm.files.whole import appearing
from dslm.preprocess.clean.pipeline import Cleaner, CleaningConfig
from dslm.preprocess.document import Document, Reject
from dslm.preprocess.read.documents import documents
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.work.plan import WorkUnit
from dslm.progress import Advance

BATCH = 1_000_000
"""Characters of text that are cleaned and tokenized together."""


def clean_documents(
    unit: WorkUnit,
    reading: ReadingConfig,
    cleaning: CleaningConfig,
    changed: Counter[str],
    reject: Reject,
    advance: Advance | None,
) -> Iterator[list[Document]]:
    """The documents of a unit, cleaned, in batches.

    Args:
        unit: what to read.
        reading: how to read it.
        cleaning: what to change and what to leave out.
        changed: where changes are counted.
        reject: called with what becomes no document.
        advance: called with the bytes of text read.
    """
    cleaner = _cleaner(cleaning)
    reject = cleaner.masked(reject)
    read = (
        document
        for piece in unit.pieces
        for document in documents(piece, reading, reject, advance, changed)
    )
    for batch in _batches(read):
        if kept := cleaner(batch, changed, reject):
            yield kept


@lru_cache(maxsize=1)
def _cleaner(cleaning: CleaningConfig) -> Cleaner:
    """A worker takes many units, and some steps are slow to make."""
    return Cleaner(cleaning)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.text)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_texts(path: Path, batches: Iterable[list[Document]]) -> None:
    """Keep cleaned documents in a file, which appears when it is whole."""
    import pyarrow as pa

    columns = {"text": pa.large_string(), "input": pa.uint32(), "place": pa.uint64()}
    schema = pa.schema([*columns.items(), ("language", pa.string())])
    with (
        appearing(path) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, schema) as file,
    ):
        for batch in batches:
            rows = zip(*((d.text, d.input, d.offset, d.language) for d in batch), strict=True)
            file.write_batch(pa.record_batch([*map(list, rows)], schema=schema))


class Texts:
    """Cleaned documents on the disk, read in place."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._file = pa.ipc.open_file(pa.memory_map(str(path)))
        sizes = [self._file.get_batch(n).num_rows for n in range(self._file.num_record_batches)]
        self._ends = [*accumulate(sizes)]  # of batches, not of rows: many of these are kept open

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def text(self, number: int) -> str:
        """The text of one document."""
        batch = bisect_right(self._ends, number)
        row = number - (self._ends[batch - 1] if batch else 0)
        return str(self._file.get_batch(batch).column("text")[row].as_py())

    def batches(self) -> Iterator[list[Document]]:
        """All documents, in the batches in which they were written."""
        for number in range(self._file.num_record_batches):
            rows = self._file.get_batch(number).to_pylist()
            yield [Document(*row.values()) for row in rows]
