from __future__ import annotations

import pytest
from helpers.needs import oracle
from hypothesis import given, settings
from hypothesis import strategies as some

from dslm.metrics.overlap import Split, characters, exact_match, rouge, words

KINDS = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
WORDS = [
    "the",
    "cat",
    "Cat",
    "sat.",
    "on",
    "a",
    "mat,",
    "don't",
    "É",
    "3x",
    "\n",
    "日本",
    "日",
    "は",
    "-",
    "１０",
    "",
]
TEXT = some.lists(some.sampled_from(WORDS), max_size=30).map(" ".join)


class Tokenizer:
    """What rouge-score takes in place of its own."""

    def __init__(self, split: Split) -> None:
        self.tokenize = split


def by_rouge_score(prediction: str, reference: str, split: Split) -> dict[str, tuple[float, ...]]:
    tokenizer = None if split is words else Tokenizer(split)
    scorer = oracle("rouge_score.rouge_scorer").RougeScorer(KINDS, tokenizer=tokenizer)
    return {kind: tuple(found) for kind, found in scorer.score(reference, prediction).items()}


@pytest.mark.parametrize("split", [words, characters])
@settings(max_examples=300)
@given(prediction=TEXT, reference=TEXT)
def test_scores_are_those_of_rouge_score(split: Split, prediction: str, reference: str) -> None:
    found = {kind: tuple(each) for kind, each in rouge(prediction, reference, split).items()}
    assert found == by_rouge_score(prediction, reference, split)


@given(text=some.text())
def test_the_words_are_those_of_rouge_score(text: str) -> None:
    assert words(text) == oracle("rouge_score.tokenizers").DefaultTokenizer().tokenize(text)


def test_chinese_and_japanese_score_by_characters() -> None:
    assert rouge("東京は雨", "東京は晴れ")["rouge1"] == (0, 0, 0)
    scored = rouge("東京は雨", "東京は晴れ", characters)
    assert scored["rouge1"] == scored["rougeL"] == (3 / 4, 3 / 5, pytest.approx(2 / 3))


def test_characters_are_letters_one_by_one_with_english_words_and_numbers_whole() -> None:
    text = "ＧＰＴ-2は「か\u3099」、ｶﾞ。 Llama 3.1_中"
    assert characters(text) == ["gpt", "2", "は", "が", "ガ", "llama", "3", "1", "中"]


@pytest.mark.parametrize("texts", [("", ""), ("", "a b"), ("a b", ""), ("...", "a b"), ("a", "b")])
def test_a_text_without_words_scores_0(texts: tuple[str, str]) -> None:
    assert set(rouge(*texts).values()) == {(0, 0, 0)}


def test_texts_match_whatever_space_is_around_them() -> None:
    assert exact_match(" Paris\n", "Paris") == 1
    assert exact_match("paris", "Paris") == 0
    assert exact_match("", "") == 1
