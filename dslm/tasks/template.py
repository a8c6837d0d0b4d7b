"""Texts with the names of fields in braces, such as ``Question: {question}``."""

from __future__ import annotations

import re

from dslm.tasks.example import Record, text_of

FIELD = re.compile(r"\{(\w+)\}")


def fill(template: str, record: Record) -> str:
    """The text with what the fields of a record hold; other braces stay as they are.

    Raises:
        UnusableError: the record has no such field, or no text in it.
    """
    return FIELD.sub(lambda found: text_of(record, found[1]), template)
