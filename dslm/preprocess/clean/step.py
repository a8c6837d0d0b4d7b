"""What a step of cleaning is: a formatter, which changes texts, or a filter, which leaves some out.

What a step does to a document depends on that document and on the settings alone, never on its
neighbours. The settings class of a step has the key ``on``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from dslm.preprocess.document import Document


class Step(ABC):
    """One step, made once for each worker from its settings and then called with many documents."""

    presets: ClassVar[tuple[str, ...]] = ()
    """The choices of ``--clean`` that switch it on."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    @abstractmethod
    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Look at some hundred documents and perhaps change their texts in place.

        Args:
            documents: what the steps before this one let through.
            counts: where documents that are changed are counted, by a few fixed words.

        Returns:
            For each document the reason to leave it out, a few fixed words, or `None` to keep it.
        """


class Formatter(Step):
    """A step that changes texts, one by one."""

    counted: ClassVar[str]
    """The words under which changed documents are counted."""
    nothing_left: ClassVar[str | None] = None
    """The reason to leave out a text without a line, if there is no need to look further."""

    @abstractmethod
    def format(self, text: str) -> str:
        """The text as it should be, often the very same."""

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Format all texts and count those that change."""
        for document in documents:
            text = self.format(document.text)
            if text != document.text:
                document.text = text
                counts[self.counted] += 1
        reason = self.nothing_left
        return [reason and (None if one.text.strip("\n") else reason) for one in documents]


class Filter(Step):
    """A step that leaves out documents and changes none."""

    @abstractmethod
    def reasons(self, documents: Sequence[Document]) -> list[str | None]:
        """For each document the reason to leave it out, a few fixed words, or `None`."""

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """The same; counts nothing."""
        return self.reasons(documents)
