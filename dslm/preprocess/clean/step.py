"""What a step of cleaning is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from dslm.preprocess.document import Document


class Step(Protocol):
    """One step, made once for each worker from its settings and then called with many documents.

    Working on some hundred documents at once lets a step use vectorised code. What it does to a
    document depends on that document and on the settings alone, never on its neighbours.
    """

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Look at documents and perhaps change their texts in place.

        Args:
            documents: what the steps before this one let through.
            counts: where the step counts the documents that it changed, by a few fixed words.

        Returns:
            For each document the reason to leave it out, a few fixed words, or `None` to keep it.
        """
        ...
