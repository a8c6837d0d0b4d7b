"""Characters that no reader sees and that become tokens all the same: counted, not changed.

``--clean text`` takes out what is counted here; see `clean.controls` for what else it knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SPACE, _WORDS = "\u200b", "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
BETWEEN_WORDS = re.compile(f"(?<=[{_WORDS}]){SPACE}(?=[{_WORDS}])")
"""A zero-width space that parts words of Thai, Lao, Tibetan, Burmese or Khmer."""

INVISIBLE = {
    "carriage returns": "\r",
    "vertical tabs": "\x0b",
    "form feeds": "\x0c",
    "byte order marks": "\ufeff",
    "zero-width spaces": SPACE,
    "soft hyphens": "\xad",
}
"""What they are called."""


def count_invisible(texts: Sequence[str]) -> dict[str, int]:
    """How many there are of each, of those that occur; one that parts words belongs to the text."""
    counts = {name: sum(_count(sign, text) for text in texts) for name, sign in INVISIBLE.items()}
    return {name: number for name, number in counts.items() if number}


def _count(sign: str, text: str) -> int:
    number = text.count(sign)
    if number and sign == SPACE:
        number -= sum(1 for _ in BETWEEN_WORDS.finditer(text))
    return number
