"""Texts with their sentences marked by bars, for the tests of where sentences begin."""

from __future__ import annotations

from itertools import pairwise

from dslm.preprocess.text.sentence_batch import sentences_of
from dslm.preprocess.text.sentences import sentence_starts


def cut(case: str) -> str:
    """The text without its bars, with one wherever a sentence begins behind another."""
    text = case.replace("|", "")
    starts = sentence_starts(text)
    assert together([text, "Who? Me!", text])[::2] == [starts, starts]
    return "|".join(text[a:b] for a, b in pairwise([*starts, len(text)]))


def together(texts: list[str]) -> list[list[int]]:
    """The starts of the sentences of each text, found for all of them at once."""
    encoded = [text.encode() for text in texts]
    return [places.tolist() for places in sentences_of(texts, encoded).of_each()]
