"""The few characters of a text that a cleaning step might have to change, found quickly.

Nearly every character of nearly every text is printable ASCII. Deleting those bytes is one pass of
the C library at about a nanosecond a byte, where a regular expression over the text takes ten; what
is left is short, in its old order, and any test may be made on it.
"""

from __future__ import annotations

_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\n"


def unusual(text: str) -> str:
    """The characters of a text other than printable ASCII, tab and line feed, in their order.

    Two unusual characters that are side by side in the text are so here; the converse need not
    hold. Lone surrogates, which a JSON escape can bring, are kept.
    """
    rest = text.encode("utf-8", "surrogatepass").translate(None, _PRINTABLE)
    return rest.decode("utf-8", "surrogatepass")
