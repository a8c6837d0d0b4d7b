"""What a user chose about reading text."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT

LEAST = 16
"""Characters that a document may have at any rate."""


@dataclass(config=STRICT, frozen=True)
class ReadingConfig:
    """How files become documents."""

    invalid_utf8: Literal["refuse", "replace", "skip"] = "refuse"
    """What happens to a document that cannot be decoded: `refuse` counts it as broken, `replace`
    puts U+FFFD for what is wrong, `skip` leaves it out."""
    text_key: str = "text"
    """Where a record holds its text: a column of a table, or a path in JSON such as `meta.body`.
    `paragraphs[]` joins the elements of a list by line ends; a `[]` with more behind it, as in
    `data[].body`, makes a document of every element."""
    documents: Literal["file", "block", "line"] = "file"
    """What is a document in plain text: the whole file, a block between blank lines, or a line."""
    encoding: Literal["utf-8", "detect"] = "utf-8"
    """`detect` guesses, once for each file, the encoding of what is not UTF-8. Byte order marks of
    UTF-16 and UTF-32 are honoured either way."""
    longest: Annotated[int, Field(ge=LEAST)] = 16_000_000
    """Characters of the longest document. Plain text beyond it is cut in several documents, a
    longer record is rejected."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between the cells of a table: a comma in CSV, a tab in TSV, or else this."""
    quote: Annotated[str, Field(pattern="^(.|none)$")] | None = None
    """What stands around cells that hold a delimiter or a line end: `"` in CSV, `none` in TSV, or
    else this."""

    @property
    def settings(self) -> dict[str, str | int]:
        """What decides the documents, as JSON holds it."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @property
    def takes_chat(self) -> bool:
        """Whether records of chats and instructions are rendered: no text was asked for by name."""
        return self.text_key == ReadingConfig.text_key

    @property
    def detects(self) -> bool:
        """Whether the encoding of what is not UTF-8 is guessed."""
        return self.encoding == "detect"
