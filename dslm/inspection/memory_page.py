"""The page about what a model gives away of its training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dslm.inspection.memory import Memory
from dslm.report.markup import fill
from dslm.report.page import write_page

SHOWN = 100
"""Documents and sequences that a page shows, at most."""


def write_memory(found: Memory, page: Path, name: str, about: Sequence[str], rule: str) -> None:
    """Write the page.

    Args:
        found: what is shown.
        page: the file; an older one is replaced in one move.
        name: of the run.
        about: what is known of it, in a few words each.
        rule: what was asked of the model, in a sentence.

    Raises:
        SetupError: the page cannot be written.
    """
    text = fill(
        "memory.html",
        title=f"{name} · what it gives away",
        name=name,
        about=about,
        rule=rule,
        rows=found.table,
        documents=found.documents[:SHOWN],
        sequences=found.sequences[:SHOWN],
    )
    write_page(page, text)
