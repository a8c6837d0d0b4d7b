"""BLEU (Papineni et al. 2002) and chrF (Popović 2015) by sacrebleu, with its signature (Post 2018).

A signature says all that the number depends on; only scores of equal signatures can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dslm.arrays import Int64Array
from dslm.errors import DataError, Problem
from dslm.metrics.records import check

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

TOKENIZERS = ("13a", "intl", "zh", "char", "none")
"""Those of sacrebleu that need no other package and fetch nothing."""


class Translations(NamedTuple):
    """What a score of translations is made of: ``score(statistics)`` is that of all of them."""

    statistics: Int64Array
    """Counts of n-grams and lengths, shape [N, …]; `bootstrap.estimate` draws its rows."""
    score: Callable[[Int64Array], float]
    """The score of any rows, in [0, 100]."""
    signature: str


def bleu(
    predictions: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str = "13a"
) -> Translations:
    """BLEU with up to four words, case kept, exponential smoothing; 0 when no word is right.

    Args:
        predictions: N texts as they are written, not divided into tokens.
        references: the right translations of each, one or more.
        tokenizer: one of `TOKENIZERS`: ``13a`` for most languages, ``zh`` for Chinese, ``char``
            for Japanese.

    Raises:
        DataError: no text, one without a reference, or an unknown tokenizer.
    """
    from sacrebleu.metrics.bleu import BLEU

    if tokenizer not in TOKENIZERS:
        rule = "no tokenizer that works without other packages"
        raise DataError(Problem("tokenizer", tokenizer, rule, f"use {', '.join(TOKENIZERS)}"))
    return _translations(BLEU(tokenize=tokenizer, force=True), predictions, references)


def chrf(
    predictions: Sequence[str], references: Sequence[Sequence[str]], word_order: int = 0
) -> Translations:
    """The F-score of up to six characters, in which recall counts twice; 0 when none is right.

    Args:
        predictions: N texts.
        references: the right translations of each, one or more.
        word_order: how many words in a row count as well; 2 is chrF++ (Popović 2017).

    Raises:
        DataError: no text, or one without a reference.
    """
    from sacrebleu.metrics.chrf import CHRF

    return _translations(CHRF(word_order=word_order), predictions, references)


def _translations(
    metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]
) -> Translations:
    check(references, predictions)
    if lacking := [number for number, texts in enumerate(references) if not texts]:
        rule = "without a right translation"
        raise DataError(*(Problem("record", number, rule) for number in lacking))
    # What sacrebleu's own bootstrap is made of; a missing reference is `None` there.
    streams = list(zip_longest(*references))
    statistics = np.array(metric._extract_corpus_statistics(predictions, streams), np.int64)

    def score(rows: Int64Array) -> float:
        return float(metric._compute_score_from_stats(rows.sum(axis=0).tolist()).score)

    return Translations(statistics, score, metric.get_signature().format())
