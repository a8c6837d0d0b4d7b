"""Web archives: a document for each record of plain text, as Common Crawl's WET files hold them.

Pages in HTML are left out and counted: what of them is text is for a program made for that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dslm.files.warc import DamagedRecord, Record, records
from dslm.preprocess.document import Document
from dslm.preprocess.read.format import Format
from dslm.preprocess.read.source import Source

PAGES = ("conversion", "response", "resource")
"""Types of records that hold what was found at an address."""
OTHERS = ("warcinfo", "request", "metadata", "revisit", "continuation")
"""The other types of the standard; they hold no text of their own."""
HTML = "HTML (read WET files instead)"
"""Why a page is left out."""
CHARSET = re.compile(r"charset=\W?([\w.:-]+)")


def read(source: Source) -> Iterator[Document]:
    """The documents of an archive.

    Raises:
        DataError: the file cannot be read.
    """
    source.unit, source.line = "record", 0
    with source.opened() as file:
        for record in records(file, source.widest):
            source.offset = record.offset
            source.line += 1
            if isinstance(record, DamagedRecord):
                source.broken(record.reason, record.detail)
            elif (text := _text(record, source)) is not None and (
                document := source.document(text)
            ):
                yield document


def _text(record: Record, source: Source) -> str | None:
    kind = record.headers.get("warc-type", "").lower()
    if kind not in PAGES:
        if kind not in OTHERS:
            source.broken("not a WARC record", f"its type is {kind[:40]!r}", record.content)
        return None
    if record.headers.get("warc-target-uri", "").strip("<>").startswith("metadata:"):
        return None  # what wget says of itself
    media, content = record.headers.get("content-type", "text/plain").lower(), record.content
    if media.startswith("application/http"):
        media, content = _response(content)
    if kind != "conversion" and not media.startswith("text/plain"):
        source.rejected(HTML if "html" in media else "no plain text")
        return None
    charset = CHARSET.search(media)
    if charset and charset[1] != "utf-8":
        try:
            return content.decode(charset[1])
        except (LookupError, UnicodeDecodeError):
            pass  # the header is wrong
    return source.decode(content)


def _response(content: bytes) -> tuple[str, bytes]:
    """The media type of an HTTP response, none if its body is packed, and the body."""
    head, _, body = content.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")[1:]
    headers = dict(line.partition(":")[::2] for line in lines)
    packed = headers.get("content-encoding", "").strip() not in ("", "identity")
    chunked = "chunked" in headers.get("transfer-encoding", "")
    return "" if packed or chunked else headers.get("content-type", "").strip(), body


FORMATS = (Format("WARC", read, (".warc", ".wet"), magic=b"WARC/"),)
