"""Parquet, Arrow files and streams, and folders that `datasets` saved: one document a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from dslm.errors import DataError, Problem
from dslm.files.arrow import batches, mapped_batches, row_groups
from dslm.files.names import alternatives, listed
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import BYTES_OF_CHARACTER, Source
from dslm.tokenizers.chat import RENDERED, chat_keys, conversation

BATCH = 1 << 22
"""Bytes of a batch of Parquet, about."""
MOST_ROWS = 1 << 12
"""Rows of a batch of Parquet, at most."""


Columns = Callable[[Source], Iterator[Any]]
"""From a source to the column of text of its piece's rows, in runs."""


def read(source: Source, columns: Columns) -> Iterator[Document]:
    """The documents of a piece of a table.

    Raises:
        DataError: there is no such column, or it holds no text.
    """
    import pyarrow as pa

    source.unit = "row"
    source.offset = source.piece.start
    try:
        for column in columns(source):
            for value in _values(column):
                source.line = source.offset
                document = _document(value, source)
                if document:
                    yield document
                source.offset += 1
            source.meter(column.nbytes)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # the last from a name
        source.broken("cut short", _first_line(error))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _arrow(source: Source, form: str) -> Iterator[Any]:
    if source.compression:
        with source.opened() as file:
            yield from _between(batches(file, form), source)
    else:
        yield from _between(mapped_batches(source.piece.path, form), source)


def _between(found: Iterator[Any], source: Source) -> Iterator[Any]:
    """The columns of the batches that lie in the piece, which begins and ends with a batch."""
    row = 0
    for batch in found:
        if row >= source.end:
            return
        if row >= source.piece.start:
            yield _text(batch, source)
        row += batch.num_rows


def _parquet(source: Source) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    # without these two the text of a whole group of rows would be held
    with ParquetFile(source.piece.path, pre_buffer=False, buffer_size=BATCH) as file:
        names = _checked(file.schema_arrow, source)
        row = 0
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            row += group.num_rows
            if not source.piece.start <= row - group.num_rows < source.end:
                continue
            most = min(MOST_ROWS, max(1, group.num_rows * BATCH // max(group.total_byte_size, 1)))
            damage = "a page has fewer rows than the file says"
            try:
                for batch in file.iter_batches(
                    most, row_groups=[number], columns=names, use_threads=False
                ):
                    yield _text(batch, source)
            except (pa.ArrowException, OSError) as error:
                damage = _first_line(error)
            while source.offset < row:  # each row is one that is lost
                source.line = source.offset
                source.broken("not a row", damage)
                source.offset += 1
        if row < file.metadata.num_rows and row <= source.end:
            source.broken("cut short", f"{file.metadata.num_rows - row} rows are in no row group")


def _text(batch: Any, source: Source) -> Any:
    """The column of text; that of chats and instructions is made."""
    import pyarrow as pa

    names = _checked(batch.schema, source)
    if names == [source.reading.text_key]:
        return batch.column(names[0])
    texts: list[str | None] = []
    try:
        batch = batch.select(names)
        batch.validate(full=True)
        for row in batch.to_pylist():
            with suppress(ValueError):
                texts.append(conversation(row))
                source.counts[RENDERED] += 1
                continue
            texts.append(None)
    except pa.ArrowException:
        texts = [None] * batch.num_rows
    return pa.array(texts, pa.large_string())


def _values(column: Any) -> Iterator[Any]:
    """The values of a column as strings of one type, and what is wrong with those that are damaged.

    Where one of them is damaged, each is looked at by itself.
    """
    import pyarrow as pa

    try:
        _validate(column)
        plain = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        yield from column if plain else column.cast(pa.large_string())
    except pa.ArrowException as error:
        if len(column) == 1:
            yield error
            return
        for row in range(len(column)):
            yield from _values(column.slice(row, 1))


def _validate(column: Any) -> None:
    """Look for damage, which would else make the process read beyond the column and die of it.

    The column is looked at as bytes: what is no UTF-8 is no damage, but a matter of each row.

    Raises:
        pyarrow.ArrowInvalid: it is damaged.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        _validate(column.dictionary)
        values = pa.nulls(len(column.dictionary))
        column = pa.DictionaryArray.from_arrays(column.indices, values)  # looks at the indices
    bytes_of = {
        pa.string(): pa.binary(),
        pa.large_string(): pa.large_binary(),
        pa.string_view(): pa.binary_view(),
    }
    column.view(bytes_of.get(column.type, column.type)).validate(full=True)


def _checked(schema: Any, source: Source) -> list[str]:
    """The name of the column of text, or those of chats and instructions.

    Raises:
        DataError: there is none of that name, or it holds something else.
    """
    import pyarrow as pa

    name, where = source.reading.text_key, str(source.piece.path)
    if name not in schema.names:
        if source.reading.takes_chat and (chat := chat_keys(schema.names)):
            return chat
        fix = f"{alternatives(name, schema.names)}; --text-key names that of the text"
        raise DataError(Problem(where, None, f"has no column {name!r}", fix))
    kind = schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = (pa.string(), pa.large_string(), pa.string_view())
    if kind not in strings:
        texts = [field.name for field in schema if field.type in strings]
        fix = f"columns of text: {listed(texts)}"
        raise DataError(Problem(where, None, f"column {name!r} holds {kind}, not text", fix))
    return [name]


def _document(value: Any, source: Source) -> Document | None:
    """The document in a cell; `None` when it was rejected."""
    if isinstance(value, Exception):
        source.broken("not a row", _first_line(value))
        return None
    if not value.is_valid:
        source.broken("not text", "found null")
        return None
    raw = value.as_buffer()
    if raw.size > source.reading.longest * BYTES_OF_CHARACTER:
        source.broken("too long", f"{raw.size} bytes")
        return None
    text = source.decode(raw.to_pybytes())
    return None if text is None else source.document(text)


PARQUET = Format(
    "Parquet",
    partial(read, columns=_parquet),
    (".parquet",),
    magic=b"PAR1",
    ratio=2,
    row_groups=partial(row_groups, form="parquet"),
)
ARROW_FILE = Format(
    "Arrow file",
    partial(read, columns=partial(_arrow, form="arrow file")),
    (".arrow", ".feather"),
    magic=b"ARROW1",
    row_groups=partial(row_groups, form="arrow file"),
)
ARROW_STREAM = Format(
    "Arrow stream",
    partial(read, columns=partial(_arrow, form="arrow stream")),
    magic=b"\xff\xff\xff\xff",
)
DATASET = Format(
    "saved dataset", ARROW_STREAM.read, row_groups=partial(row_groups, form="arrow stream")
)
FORMATS = (PARQUET, ARROW_FILE, ARROW_STREAM, DATASET)
