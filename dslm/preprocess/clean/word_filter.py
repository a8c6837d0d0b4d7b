"""Filters that look at the words of documents, which are split once for all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from dslm.preprocess.clean.step import Filter
from dslm.preprocess.document import Document
from dslm.preprocess.text.words import Words, split


class WordFilter(Filter):
    """A filter that looks at nothing but words."""

    @abstractmethod
    def reasons_by_words(self, words: Words) -> list[str | None]:
        """For each document the reason to leave it out, or `None`."""

    def reasons(self, documents: Sequence[Document]) -> list[str | None]:
        """The reasons found in the words of documents."""
        return self.reasons_by_words(split(documents))


class WordFilters(WordFilter):
    """Several in one, so that words are split once for all of them.

    Args:
        filters: asked in this order; the first reason counts.
    """

    def __init__(self, filters: Sequence[WordFilter]) -> None:
        super().__init__(None)
        self._filters = filters

    def reasons_by_words(self, words: Words) -> list[str | None]:
        """For each document the first reason of any filter, or `None`."""
        each = [one.reasons_by_words(words) for one in self._filters]
        return [next(filter(None, reasons), None) for reasons in zip(*each, strict=True)]
