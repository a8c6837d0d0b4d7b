"""JSON values one behind the other, a list or an object of records, read as a stream of them.

The records are the values themselves, the elements of lists, or those of the first ``[]`` of the
path that has more behind it. Only one record is held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from dslm.files.json_text import BLOCK
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.record import steps, streamed
from dslm.preprocess.read.source import Source


def read(source: Source) -> Iterator[Document]:
    """The documents of a JSON file.

    Raises:
        DataError: the file cannot be read.
    """
    source.unit, source.line = "record", 0
    path = steps(source.reading.text_key)
    with source.opened() as file:
        for document in streamed(partial(file.read1, BLOCK), path, source, walks=True):
            if document:
                yield document
            else:
                source.offset = source.line = source.line + 1


JSON_DOCUMENT = Format("JSON", read)
FORMATS = (JSON_DOCUMENT,)
