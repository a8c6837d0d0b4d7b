"""Where the paragraphs of a text are, and the text without some of them.

A paragraph is one long line, as in text taken from web pages (the unit of CCNet, Wenzek et al.
2020, and of Dolma, Soldaini et al. 2024), or a run of short lines without a blank one between them,
as in text broken to a width. Signing and removing number the paragraphs by the same function, so
that a number is enough to name one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Span = tuple[int, int]
"""First character, and the one after the last."""

GAP = re.compile(r"\s*\n|\s*\Z")
"""What parts a paragraph from the next, without the indentation of the next."""


def paragraphs(text: str, least: int) -> list[Span]:
    """The paragraphs of a text that are long enough, in order, line breaks around them left out.

    Args:
        text: any text, its lines parted by line feeds.
        least: characters of a long line, and of a paragraph that counts.
    """
    spans: list[Span] = []
    begin = at = 0
    for line in text.split("\n"):
        end = at + len(line)
        blank = not line or line.isspace()
        if blank or len(line) >= least:
            spans.append((begin, at - 1))
            begin = end + 1
            if not blank:
                spans.append((at, end))
        at = end + 1
    spans.append((begin, len(text)))
    return [(begin, end) for begin, end in spans if end - begin >= least]


def nothing_beside(text: str, spans: Sequence[Span]) -> bool:
    """Whether a text is blank outside some spans that follow each other."""
    begins = [0, *(end for _, end in spans)]
    ends = [*(begin for begin, _ in spans), len(text)]
    return not any(text[begin:end].strip() for begin, end in zip(begins, ends, strict=True))


def remove(text: str, numbers: Iterable[int], least: int) -> str:
    """A text without some of its paragraphs and the line breaks after them, else unchanged.

    Args:
        text: the text.
        numbers: indices into ``paragraphs(text, least)``, in ascending order.
        least: as for `paragraphs`.
    """
    spans = paragraphs(text, least)
    pieces, at, end = [], 0, 0
    for number in numbers:
        begin, end = spans[number]
        pieces.append(text[at:begin])
        gap = GAP.match(text, end)
        at = gap.end() if gap else end
    last = at == len(text) and end > 0
    kept = "".join(pieces) + text[at:]
    return kept.rstrip() if last else kept
