"""From a piece of an input to its documents, whatever the format.

path → kind (first bytes) → format (registry) → records → decoded → documents and rejections
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dslm.preprocess.document import Document, Reject
from dslm.preprocess.read.kinds import kind
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.read.source import Piece, Source
from dslm.progress import Advance, Meter


def documents(
    piece: Piece,
    reading: ReadingConfig,
    reject: Reject,
    advance: Advance | None = None,
    counts: Counter[str] | None = None,
) -> Iterator[Document]:
    """The documents of a piece, in order.

    Args:
        piece: from `pieces`.
        reading: what the user chose.
        reject: called with every record that is no document. Reasons of broken ones: `not JSON`,
            `not a JSON object`, `no text key`, `not a row`, `not text`, `not UTF-8`,
            `half a surrogate pair`, `NUL bytes`, `too long`, `cut short`; of others: `empty`, and
            what `ReadingConfig.invalid_utf8` skips.
        advance: called with the bytes of text read; the sum is `Piece.text_bytes`.
        counts: where changed documents are counted: `replaced`, `cut`, `rendered from chat`,
            `CRLF read as LF` and the like.

    Raises:
        DataError: the file cannot be read, or has no such column.
    """
    found = kind(piece.path)
    meter = Meter(piece.text_bytes, advance)
    counts = Counter() if counts is None else counts
    source = Source(piece, found.compression, reading, reject, counts, meter)
    yield from found.format.read(source)
    source.finish()
    meter.finish()
