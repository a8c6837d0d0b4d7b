"""The formats that are read.

A new format is one file with a `read` and a `Format` that describes it, and one line here.
"""

from __future__ import annotations

from dslm.preprocess.read import columnar, json_document, json_lines, tables, text
from dslm.preprocess.read.format import Format

FORMATS: tuple[Format, ...] = (
    text.FORMAT,
    json_lines.FORMAT,
    json_document.FORMAT,
    tables.CSV,
    tables.TSV,
    columnar.PARQUET,
    columnar.ARROW_FILE,
    columnar.ARROW_STREAM,
    columnar.DATASET,
)
