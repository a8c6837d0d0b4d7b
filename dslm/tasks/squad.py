"""Files of questions in the layout of SQuAD: articles, their paragraphs, the questions on each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dslm.tasks.example import Record

MARK = b'"paragraphs"'
"""What no other file has at its beginning."""


def is_squad(content: Any) -> bool:
    """Whether the value of a JSON file is laid out like SQuAD."""
    articles = content.get("data") if isinstance(content, dict) else None
    if not isinstance(articles, list):
        return False
    return any(isinstance(one, dict) and "paragraphs" in one for one in articles)


def flattened(content: Any) -> Iterator[Record | None]:
    """Each question with its context, in order; `None` for what is broken.

    A question keeps its fields (``id``, ``question``, ``answers``, ``is_impossible``) and gets the
    ``context`` of its paragraph.
    """
    for article in content["data"]:
        for paragraph in _listed(article, "paragraphs"):
            for question in _listed(paragraph, "qas"):
                if not isinstance(question, dict) or not isinstance(paragraph, dict):
                    yield None
                else:
                    yield {**question, "context": paragraph.get("context")}


def _listed(value: Any, key: str) -> list[Any]:
    """The list below a key; one broken value where there is none."""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else [None]
