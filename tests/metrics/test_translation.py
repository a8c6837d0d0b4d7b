from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import sacrebleu

from dslm.errors import DataError
from dslm.metrics.bootstrap import estimate
from dslm.metrics.translation import TOKENIZERS, bleu, chrf

Texts = tuple[list[str], list[list[str]]]


def drawn(seed: int, references: Sequence[int] = (1,)) -> Texts:
    """40 random texts, a few empty, and for each some that share words with it."""
    random_words = random.Random(seed)
    words = ["the", "cat,", "sat", "on", "a", "mat.", "Ünder", "3.5", "%", "天气", "很好。", "it's"]

    def text(most: int) -> str:
        return " ".join(random_words.choices(words, k=random_words.randrange(most)))

    predictions = [text(12) for _ in range(40)]
    counts = [references[place % len(references)] for place in range(40)]
    return predictions, [
        [f"{one} {text(6)}" for _ in range(count)]
        for one, count in zip(predictions, counts, strict=True)
    ]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("references", [1, 2])
def test_bleu_and_its_signature_are_those_of_sacrebleu(tokenizer: str, references: int) -> None:
    predictions, right = drawn(1, [references])
    theirs = sacrebleu.BLEU(tokenize=tokenizer)
    expected = theirs.corpus_score(predictions, [list(texts) for texts in zip(*right, strict=True)])
    found = bleu(predictions, right, tokenizer)
    assert 0 < found.score(found.statistics) == expected.score < 100
    assert found.signature == theirs.get_signature().format()
    assert f"|tok:{tokenizer}|" in found.signature


@pytest.mark.parametrize("word_order", [0, 2])
@pytest.mark.parametrize("references", [1, 2])
def test_chrf_and_its_signature_are_those_of_sacrebleu(word_order: int, references: int) -> None:
    predictions, right = drawn(2, [references])
    theirs = sacrebleu.CHRF(word_order=word_order)
    expected = theirs.corpus_score(predictions, [list(texts) for texts in zip(*right, strict=True)])
    found = chrf(predictions, right, word_order)
    assert 0 < found.score(found.statistics) == expected.score < 100
    assert found.signature == theirs.get_signature().format()


def test_texts_may_have_different_numbers_of_references() -> None:
    predictions, right = drawn(3, [1, 3, 2])
    streams = [[texts[n] if n < len(texts) else None for texts in right] for n in range(3)]
    found, theirs = bleu(predictions, right), sacrebleu.BLEU()
    assert found.score(found.statistics) == theirs.corpus_score(predictions, streams).score
    assert "nrefs:var" in found.signature


def test_rows_of_the_statistics_score_the_texts_they_are_of() -> None:
    predictions, right = drawn(4)
    rows = np.array([3, 3, 7, 20, 21, 22, 30])
    theirs = bleu([predictions[row] for row in rows], [right[row] for row in rows])
    whole = bleu(predictions, right)
    assert whole.score(whole.statistics[rows]) == theirs.score(theirs.statistics)


def test_the_interval_is_about_that_of_sacrebleu() -> None:
    predictions, right = drawn(5)
    found = bleu(predictions, right)
    interval = estimate(found.statistics, found.score, seed=1)
    stream = [text for (text,) in right]
    theirs = sacrebleu.BLEU().corpus_score(predictions, [stream], n_bootstrap=1000)
    assert (interval.high - interval.low) / 2 == pytest.approx(theirs._ci, rel=0.15)


@pytest.mark.parametrize("metric", [bleu, chrf])
def test_nothing_right_scores_0(metric: type) -> None:
    for prediction in ("", "xyz"):
        found = metric([prediction], [["abc def"]])
        assert found.score(found.statistics) == 0


def test_no_text_no_reference_and_an_unknown_tokenizer_are_mistakes() -> None:
    with pytest.raises(DataError, match="records = 0"):
        chrf([], [])
    with pytest.raises(DataError, match="record = 1: without a right translation"):
        bleu(["a", "b"], [["a"], []])
    with pytest.raises(DataError, match=r"tokenizer = 'spm': .*; use 13a, intl, zh, char, none"):
        bleu(["a"], [["a"]], "spm")
