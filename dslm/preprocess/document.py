"""What passes through preprocessing: a text, where it came from, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Document:
    """One text on its way from a file to a shard."""

    text: str
    """The text; cleaning changes it in place."""
    input: int = 0
    """The number of its file among the inputs."""
    offset: int = 0
    """Where it begins in its file: a byte of the unpacked content for text and JSON lines, the
    number of the row (from 0) for tables."""
    language: str = ""
    """ISO 639-1 code, once it has been identified."""
    set: str = ""
    """The set of a split that it belongs to, once that has been decided."""

    def rejected(self, reason: str) -> Rejected:
        """The same as a document that is not wanted."""
        return Rejected(self.input, self.offset, reason, text=self.text)


@dataclass(frozen=True)
class Rejected:
    """A record that is no document, or a document that is not wanted."""

    input: int
    """The number of its file among the inputs."""
    offset: int
    """As `Document.offset`."""
    reason: str
    """A few words from a fixed list, such as ``not JSON``: counts are kept by it."""
    detail: str = ""
    """What was found, for one line of a message; never personal data."""
    text: str = ""
    """The text or the start of the record."""
    broken: bool = False
    """Whether the record could not be read, rather than was read and not wanted."""


Reject = Callable[[Rejected], None]
"""Called for every record that does not become a document."""
