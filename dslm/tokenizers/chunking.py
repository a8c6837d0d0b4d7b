"""Long texts as short parts, so that encoding takes little memory whatever the text.

`lines` is for tokenizers to which a line end is a token of its own: a cut after one changes
nothing. `safe_cuts` is for the others: it looks for a cut where the ids of both sides, put
together, are the ids of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice

CHUNK = 8192
"""Characters encoded at a time: enough to hide the cost of a call, few enough for flat memory."""

AROUND = 64
"""Characters on either side of a cut whose ids are compared."""

TRIES = 32
"""Cuts between words, and others, that are tried before looking further on."""

FAR = 16
"""Sizes of a part after which it ends without a safe cut."""

BETWEEN_WORDS = re.compile(r"(?<=\S)[ \n](?=\S)")

Span = tuple[int, int]
"""The first character of a part, and the one after its last."""


def lines(text: str, size: int) -> Iterator[Span]:
    """Cut a text after a line end, else before a space, else anywhere, every `size` characters."""
    start = 0
    while len(text) - start > size:
        end = (
            text.rfind("\n", start, start + size) + 1  # 0 when there is none
            or max(text.rfind(" ", start + 1, start + size), 0)
            or start + size
        )
        yield start, end
        start = end
    yield start, len(text)


def safe_cuts(text: str, size: int, ids: Callable[[str], list[int]]) -> Iterator[Span]:
    """Cut a text about every `size` characters where its ids come apart.

    A cut between words is looked for first, then any other. Where a tokenizer puts a space before
    every text, the space at the cut belongs to neither part.

    Args:
        text: the whole.
        size: characters in a part, at most, unless there is no safe cut.
        ids: what the tokenizer makes of a short text.
    """
    start = 0
    while len(text) - start > size:
        end, dropped = next(_cuts(text, start, size, ids))
        yield start, end
        start = end + dropped
    yield start, len(text)


def _cuts(
    text: str, start: int, size: int, ids: Callable[[str], list[int]]
) -> Iterator[tuple[int, int]]:
    """Where a part may end, and how many spaces are dropped there; at last where it must end."""
    last = min(len(text), start + FAR * size)
    for limit in range(start + size, last, size):
        middle = limit - size // 2
        words = [match.start() for match in BETWEEN_WORDS.finditer(text, middle, limit)]
        for end in islice(chain(words[-TRIES:], range(limit, middle, -1)), 2 * TRIES):
            for drop in (0, 1):
                if _comes_apart(text, end, drop, ids):
                    yield end, drop
    yield last, 0


def _comes_apart(text: str, cut: int, drop: int, ids: Callable[[str], list[int]]) -> bool:
    """Whether a cut leaves the ids around it as they are, without the space it drops, if any."""
    if drop and text[cut] not in " \n":
        return False
    left, right = text[max(0, cut - AROUND) : cut], text[cut : cut + AROUND]
    return ids(left) + ids(right[drop:]) == ids(left + right)
