"""ROUGE (Lin 2004): how much of a reference a text has. Equal to rouge-score's without stemming."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from dslm.metrics.records import Scores, precision_recall_f1

Split = Callable[[str], list[str]]


def words(text: str) -> list[str]:
    """The runs of English letters and digits, in lower case; all else divides (ROUGE-1.5.5)."""
    return re.findall("[a-z0-9]+", text.lower())


def characters(text: str) -> list[str]:
    """For Chinese and Japanese: letters one by one, but English words and numbers whole.

    Wide and narrow forms of a letter are one (Unicode's NFKC); punctuation divides.
    """
    return re.findall(r"[a-z0-9]+|[^\W_]", unicodedata.normalize("NFKC", text).lower())


def rouge(prediction: str, reference: str, split: Split = words) -> dict[str, Scores]:
    """ROUGE-1, -2, -L and -Lsum; all 0 when one of both texts has no words.

    Args:
        prediction: the text that was written; its sentences are its lines, for ROUGE-Lsum.
        reference: the right one.
        split: `words`, or `characters` for Chinese and Japanese.

    Returns:
        Precision, recall and F1 of ``rouge1``, ``rouge2``, ``rougeL`` and ``rougeLsum``.
    """
    given, right = split(prediction), split(reference)
    lines = ([split(line) for line in text.split("\n") if line] for text in (prediction, reference))
    common = _increases(_rows(right, given)[-1], len(given))
    return {
        "rouge1": _ngrams(given, right, 1),
        "rouge2": _ngrams(given, right, 2),
        "rougeL": precision_recall_f1(common, len(given), len(right)),
        "rougeLsum": _summary(*lines),
    }


def exact_match(prediction: str, reference: str) -> float:
    """1 if both texts are the same, whatever space is around them, else 0."""
    return float(prediction.strip() == reference.strip())


def _ngrams(given: Sequence[str], right: Sequence[str], length: int) -> Scores:
    """The overlap of runs of `length` words, each counted as often as in the rarer text."""
    first, second = (
        Counter(zip(*(text[start:] for start in range(length)), strict=False))
        for text in (given, right)
    )
    hits, *totals = (counter.total() for counter in (first & second, first, second))
    return precision_recall_f1(hits, *totals)


def _summary(given: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> Scores:
    """Union of the longest common subsequences of sentences (Lin 2004, section 3.2).

    No word counts more often than it stands in either text, as in ROUGE-1.5.5.
    """
    left = [Counter(word for sentence in text for word in sentence) for text in (given, right)]
    totals = [counter.total() for counter in left]
    hits = 0
    for sentence in right:
        places = set().union(*(_common_places(sentence, other) for other in given))
        for word in (sentence[place] for place in sorted(places)):
            if all(counter[word] for counter in left):
                hits += 1
                for counter in left:
                    counter[word] -= 1
    return precision_recall_f1(hits, *totals)


def _rows(right: Sequence[str], given: Sequence[str]) -> list[int]:
    """The table of longest common subsequences, a row of bits for each prefix of `right`.

    A bit of 0 says where along `given` the length grows by one (Crochemore et al. 2001).
    """
    masks: dict[str, int] = {}
    for place, word in enumerate(given):
        masks[word] = masks.get(word, 0) | 1 << place
    whole = (1 << len(given)) - 1
    rows = [whole]
    for word in right:
        row, mask = rows[-1], masks.get(word, 0)
        rows.append(((row + (row & mask)) | (row & ~mask)) & whole)
    return rows


def _increases(row: int, length: int) -> int:
    """The length of the longest common subsequence with the first `length` words."""
    return (~row & ((1 << length) - 1)).bit_count()


def _common_places(right: Sequence[str], given: Sequence[str]) -> set[int]:
    """Places in `right` of one longest common subsequence: the one that rouge-score finds."""
    rows = _rows(right, given)
    places = set()
    row, column = len(right), len(given)
    while row and column:
        if right[row - 1] == given[column - 1]:
            row, column = row - 1, column - 1
            places.add(row)
        elif _increases(rows[row], column) > _increases(rows[row - 1], column):
            column -= 1
        else:
            row -= 1
    return places
