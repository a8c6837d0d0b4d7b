"""Characters that no reader sees and that become tokens all the same: counted, not changed.

``--clean text`` takes them out; see `clean.controls` for what else it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

INVISIBLE = {
    "carriage returns": "\r",
    "vertical tabs": "\x0b",
    "form feeds": "\x0c",
    "byte order marks": "\ufeff",
    "zero-width spaces": "\u200b",
    "soft hyphens": "\xad",
}
"""What they are called."""


def count_invisible(texts: Sequence[str]) -> dict[str, int]:
    """How many there are of each, of those that occur."""
    counts = {name: sum(text.count(sign) for text in texts) for name, sign in INVISIBLE.items()}
    return {name: number for name, number in counts.items() if number}
