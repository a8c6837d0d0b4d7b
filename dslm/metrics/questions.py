"""Extractive questions: exact match and F1 of an answer, as the official scripts compute them.

SQuAD 1.1 (Rajpurkar et al. 2016), SQuAD 2.0 with questions that have no answer (2018), and MLQA
(Lewis et al. 2019) with rules for each language. XQuAD is scored by the rules of SQuAD 1.1, or for
Chinese, which has no spaces, by those of MLQA.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from dslm.errors import DataError, Problem

Version = Literal["1.1", "2.0"]

ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "ar": "ال",
    "hi": "(?!)",
    "zh": "(?!)",
}
"""What is no part of an answer, for each language of MLQA."""

HAN = re.compile("([\u4e00-\u9fa5])")


def normalize(answer: str, language: str | None = None) -> str:
    """An answer in lower case without punctuation and articles, its words divided by one space.

    Args:
        answer: as predicted, or as it stands in the text.
        language: `None` for the rules of SQuAD: English articles, punctuation of ASCII. A language
            of MLQA: its articles, all punctuation of Unicode; in Chinese each character is a word.

    Raises:
        DataError: MLQA has no rules for the language.
    """
    if language is not None and language not in ARTICLES:
        fix = f"use one of {', '.join(ARTICLES)}, or leave it out for the rules of SQuAD"
        raise DataError(Problem("language", language, "no rules for its answers are known", fix))
    marks = string.punctuation
    text = "".join(
        letter
        for letter in answer.lower()
        if letter not in marks and (language is None or unicodedata.category(letter)[0] != "P")
    )
    text = re.sub(ARTICLES[language or "en"], " ", text)
    return " ".join((HAN.sub(r" \1 ", text) if language == "zh" else text).split())


def exact_match(
    prediction: str, golds: Sequence[str], language: str | None = None, version: Version = "2.0"
) -> float:
    """1 if the prediction is one of the right answers after `normalize`, else 0.

    Args:
        prediction: empty for no answer.
        golds: all right answers; by version 2.0 an empty list means that there is none to find.
        language: as in `normalize`.
        version: whose rules hold. By 2.0 right answers of which nothing is left are no answers.

    Raises:
        DataError: no right answer, by version 1.1; or an unknown language.
    """
    return _best(lambda gold: _same(prediction, gold, language), golds, language, version)


def f1(
    prediction: str, golds: Sequence[str], language: str | None = None, version: Version = "2.0"
) -> float:
    """The F1 of the words of the prediction, with the right answer that gives most, in [0, 1].

    If nothing is left of one of both: by 2.0 whether nothing is left of the other, by 1.1 always 0.
    Takes what `exact_match` takes, with the same errors.
    """
    return _best(
        lambda gold: _overlap(prediction, gold, language, version), golds, language, version
    )


def _best(
    score: Callable[[str], float], golds: Sequence[str], language: str | None, version: Version
) -> float:
    if version == "2.0":
        golds = [gold for gold in golds if normalize(gold, language)] or [""]
    if not golds:
        fix = "score by version 2.0, where a question may have no answer"
        raise DataError(Problem("answers", [], "at least one right answer", fix))
    return max(map(score, golds))


def _same(prediction: str, gold: str, language: str | None) -> float:
    return float(normalize(prediction, language) == normalize(gold, language))


def _overlap(prediction: str, gold: str, language: str | None, version: Version) -> float:
    given, right = (normalize(text, language).split() for text in (prediction, gold))
    if version == "2.0" and not (given and right):
        return float(given == right)
    hits = (Counter(given) & Counter(right)).total()
    if hits == 0:
        return 0.0
    precision, recall = hits / len(given), hits / len(right)
    return 2 * precision * recall / (precision + recall)
