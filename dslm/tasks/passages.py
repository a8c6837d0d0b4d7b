"""A question and a text of any length as windows that a model can read.

The path of a question: its answers are looked up in the text, the characters of the answer become
tokens, and each window of the text is put behind the question, with flags for its tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import orjson

from dslm.arrays import Int64Array
from dslm.errors import DataError
from dslm.objectives.batch import IGNORE
from dslm.tasks.coder import Coder
from dslm.tasks.example import Record, UnusableError
from dslm.tokenizers.offsets import visible_spans
from dslm.tokenizers.tokenizer import Tokenizer

BEHIND, CANDIDATE, NONE, START, END = (1 << bit for bit in range(5))
"""Flags of a token: it comes behind the question; an answer may begin or end with it; it stands for
no answer; the answer begins, or ends, with it."""


class Answer(NamedTuple):
    """A right answer."""

    text: str
    start: int
    """Its first character in the text."""


class Passage(NamedTuple):
    """A text as its tokens."""

    text: str
    ids: list[int]
    spans: Int64Array
    """[ids, 2]: the characters of each, see `visible_spans`."""

    def between(self, first: int, last: int) -> str:
        """The text of some tokens."""
        return self.text[self.spans[first, 0] : self.spans[last, 1]]

    def covering(self, answer: Answer) -> tuple[int, int] | None:
        """The first and the last token that have characters of an answer."""
        starts, ends = self.spans.T
        within = (starts < answer.start + len(answer.text)) & (ends > answer.start)
        places = np.flatnonzero(within & (starts < ends))
        return (int(places[0]), int(places[-1])) if places.size else None


@lru_cache(maxsize=4)
def passage(tokenizer: Tokenizer, text: str) -> Passage:
    """The tokens of a text; questions on one text mostly follow each other.

    Raises:
        UnusableError: none stands for anything that is seen, or it holds what has no ids.
    """
    try:
        spans = visible_spans(tokenizer, text)
    except DataError as error:
        problem = error.problems[0]
        raise UnusableError(f"{problem.where} {problem.rule}") from None
    if not (spans[:, 0] < spans[:, 1]).any():
        raise UnusableError("its text has no tokens")
    return Passage(text, tokenizer.encode([text])[0].tolist(), spans)


def answers_of(record: Record, key: str, context: str) -> list[Answer]:
    """The right answers of a record, a list of them as in SQuAD or lists as in `datasets`.

    Raises:
        UnusableError: they are nothing of the kind, or one is not in the text where it should be.
    """
    value = record.get(key)
    if value is None:
        raise UnusableError(f"has no {key}")
    if isinstance(value, str):  # of a table of text
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise UnusableError(f"its {key} are no JSON") from None
    found = [_answer(text, start, key) for text, start in _pairs(value, key)]
    if any(context[one.start : one.start + len(one.text)] != one.text for one in found):
        raise UnusableError("its answer is not in the text at its answer_start")
    return found


def _pairs(value: Any, key: str) -> list[tuple[Any, Any]]:
    """The texts and the starts of answers."""
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return [(one.get("text"), one.get("answer_start")) for one in value]
    if isinstance(value, dict):
        texts, starts = value.get("text"), value.get("answer_start")
        if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
            return list(zip(texts, starts, strict=True))
    raise UnusableError(f"its {key} are no list of texts with answer_start")


def _answer(text: Any, start: Any, key: str) -> Answer:
    if not isinstance(text, str) or not text.strip():
        raise UnusableError(f"one of its {key} has no text")
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        raise UnusableError(f"one of its {key} has no answer_start")
    return Answer(text, start)


@dataclass(frozen=True)
class Window:
    """A question and a part of the text."""

    ids: list[int]
    flags: Int64Array
    """[ids], see `BEHIND`."""
    first: int
    """The token of the text with which it begins."""
    characters: slice
    """Those of the text that it holds."""
    answered: bool
    """Whether the answer is in it."""


def windows(
    question: Sequence[int],
    text: Passage,
    answer: tuple[int, int] | None,
    coder: Coder,
    step: int,
    longest: int,
) -> Iterator[Window]:
    """The windows of a text, from its beginning to its end.

    Args:
        question: its ids.
        text: what it is asked of.
        answer: the first and the last token of the answer in the text.
        coder: frames a question and a text.
        step: how many tokens a window begins behind the one before, at most.
        longest: tokens of an answer that is to be whole in some window, as far as windows allow.

    Raises:
        UnusableError: the question leaves no room for the text.
    """
    before = len(coder.begin) + len(question) + len(coder.between)
    room = coder.sequence - before - len(coder.between)
    if room < 1:
        raise UnusableError("its question is longer than the model reads")
    step = min(step, max(room - longest, room // 2, 1))
    for first in range(0, max(1, len(text.ids) - room + step), step):
        ids, spans = text.ids[first : first + room], text.spans[first : first + room]
        row, _ = coder.framed([list(question), ids])
        flags = np.zeros(len(row), np.int64)
        flags[before:] |= BEHIND
        flags[before : before + len(ids)] |= CANDIDATE * (spans[:, 0] < spans[:, 1])
        # What stands for no answer must have seen the text.
        none = 0 if coder.full or not coder.between else len(row) - 1
        flags[none] |= NONE
        start, end = none, none
        answered = answer is not None and first <= answer[0] and answer[1] < first + len(ids)
        if answer and answered:
            start, end = (one - first + before for one in answer)
        flags[start] |= START
        flags[end] |= END
        characters = slice(int(spans[0, 0]), int(spans[-1, 1]))
        yield Window(row, flags, first, characters, answered)


def packed(spans: Int64Array) -> list[int]:
    """Spans as small numbers: each border by its distance from the one before."""
    found: list[int] = np.diff(spans.ravel(), prepend=0).tolist()
    return found


def unpacked(borders: Sequence[int]) -> Int64Array:
    """The spans of `packed`."""
    return np.cumsum(borders, dtype=np.int64).reshape(-1, 2)


def flags_of(labels: Any) -> Any:
    """The flags of tokens, none for padding."""
    return labels.masked_fill(labels == IGNORE, 0)


def of_rows(outputs: Any, labels: Any) -> tuple[Any, Any]:
    """Log-probabilities [B, S, 2] among the tokens of a row, and flags [B, S], of rows that count.

    Padding has a log-probability of minus infinity.
    """
    flags = flags_of(labels)
    rows = (flags & START > 0).any(1)
    padding = (labels[rows] == IGNORE)[..., None]
    return outputs[rows].float().masked_fill(padding, float("-inf")).log_softmax(1), flags[rows]


def at(scores: Any, flags: Any, flag: int) -> Any:
    """Those scores [B, S] whose token has a flag, [B]."""
    return scores.masked_fill(flags & flag == 0, 0).sum(1)
