"""The formats that are read; a new one is a new file, and its name in `READERS`."""

from __future__ import annotations

from importlib import import_module

from dslm.preprocess.read.format import Format

READERS = (
    "text",
    "json_lines",
    "json_document",
    "tables",
    "columnar",
    "web_archive",
    "tar",
)
"""The modules of the readers, each with the `FORMATS` that it reads."""

FORMATS: tuple[Format, ...] = tuple(
    form for name in READERS for form in import_module(f"{__package__}.{name}").FORMATS
)
