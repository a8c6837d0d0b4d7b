"""Reads the pages that are written, as strictly as nothing but a test does."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

VOID = ("meta", "wbr", "br", "input")
"""Elements that are never closed."""


class Page(HTMLParser):
    """Checks that every element is closed in order, and gathers what the page holds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: dict[str, list[str]] = {}
        """The texts of the elements of a kind; what stands within others belongs to these."""
        self._pieces: list[list[str]] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in VOID:
            self.open.append(tag)
            self._pieces.append([])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.texts.setdefault(tag, []).append("".join(self._pieces.pop()))

    def handle_data(self, data: str) -> None:
        if self._pieces:
            self._pieces[-1].append(data)
