"""Rules that look at the words of documents, which are split once for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from dslm.preprocess.document import Document
from dslm.preprocess.text.words import Words, split


class Rule(Protocol):
    """Something that finds fault with documents and looks at their words for it."""

    def judge(self, words: Words) -> list[str | None]:
        """For each document the reason to leave it out, or `None`."""
        ...


class WordRules:
    """One step out of several rules, so that words are split once for all of them.

    Args:
        rules: asked in this order; the first reason counts.
    """

    def __init__(self, *rules: Rule) -> None:
        self._rules = rules

    def __call__(self, documents: Sequence[Document], counts: Counter[str]) -> list[str | None]:
        """Judge documents; changes no text; see `dslm.preprocess.clean.step.Step`."""
        words = split(documents)
        reasons: list[str | None] = [None] * len(documents)
        for rule in self._rules:
            found = rule.judge(words)
            reasons = [first or then for first, then in zip(reasons, found, strict=True)]
        return reasons
