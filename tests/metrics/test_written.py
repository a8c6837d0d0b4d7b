"""Which metrics a kind of text has, of words or characters, by the best of several targets."""

from __future__ import annotations

import pytest
import sacrebleu

from dslm.metrics.overlap import characters, rouge
from dslm.metrics.written import OF_KIND, Kind, written_scores

WRITTEN = ["the cat sat on a mat", "no bird", "stone"]
TARGETS = [["the cat sat on the mat", "a cat sat"], ["a bird sang"], ["stone "]]
CHINESE = ["石头在河里", "天"]


@pytest.mark.parametrize("kind", OF_KIND)
def test_each_kind_has_its_metrics(kind: Kind | None) -> None:
    found = written_scores(WRITTEN, TARGETS, kind, None, 0)
    assert tuple(found) == OF_KIND[kind]
    assert all(one.low <= one.value <= one.high and one.records == 3 for one in found.values())


def test_translations_are_scored_and_signed_by_sacrebleu() -> None:
    found = written_scores(WRITTEN, TARGETS, "translation", None, 0)
    streams = [["the cat sat on the mat", "a bird sang", "stone "], ["a cat sat", None, None]]
    assert found["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(WRITTEN, streams).score)
    assert found["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(WRITTEN, streams).score)
    assert "tok:13a" in found["bleu"].signature
    assert "nrefs:var" in found["bleu"].signature


def test_the_best_target_counts() -> None:
    found = written_scores(["b c"], [["x", "b c d"]], "summary", None, 0)
    assert found["rouge1"].value == pytest.approx(rouge("b c", "b c d")["rouge1"].f1)
    assert written_scores(["a"], [["b", " a"]], "exact", None, 0)["exact_match"].value == 1.0


@pytest.mark.parametrize(
    ("target", "tokenizer"), [("石头在河里", "zh"), ("石はかわにある", "char"), ("a stone", "13a")]
)
def test_the_script_of_the_targets_says_what_a_word_is(target: str, tokenizer: str) -> None:
    found = written_scores([target], [[target]], "translation", None, 0)
    assert f"tok:{tokenizer}|" in found["bleu"].signature
    assert found["bleu"].value == pytest.approx(100.0) or tokenizer == "13a"


def test_characters_can_be_asked_for() -> None:
    texts, right = ["石头 in the river"], [["石头 in a river bed"]]
    found = written_scores(texts, right, "summary", True, 0)["rougeL"]
    assert found.value == pytest.approx(rouge(texts[0], right[0][0], characters)["rougeL"].f1)
    assert found.value != written_scores(texts, right, "summary", False, 0)["rougeL"].value
