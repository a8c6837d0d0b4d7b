"""The settings of questions on a text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from dslm.config.parse import STRICT

Language = Literal["ar", "de", "en", "es", "hi", "vi", "zh"]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class QuestionsConfig:
    """Questions on a text."""

    id: str = "id"
    """The field of the question's name, which no other question of a file may have."""
    question: str = "question"
    """The field of the question."""
    context: str = "context"
    """The field of the text that holds the answer."""
    answers: str = "answers"
    """The field of the right answers, each with ``text`` and ``answer_start``."""
    unanswerable: bool = False
    """Whether some questions have no answer in the text (SQuAD 2.0)."""
    stride: Annotated[int, Field(ge=1)] = 128
    """Tokens from the beginning of a window of a long text to that of the next, at most."""
    longest: Annotated[int, Field(ge=1)] = 30
    """Tokens of an answer, at most."""
    threshold: float = 0.0
    """Nats by which an answer must be better than none to be given (only with `unanswerable`)."""
    language: Language | None = None
    """Whose rules answers are compared by, those of MLQA; null = the rules of SQuAD."""
