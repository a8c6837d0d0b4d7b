from __future__ import annotations

import json
from pathlib import Path

import pytest

from dslm.errors import DataError
from dslm.metrics.questions import exact_match, f1, normalize

ANSWERS = Path(__file__).with_name("answers.jsonl")
"""Written by `helpers.official_answers`, from what the official scripts found."""


def test_exact_match_and_f1_are_those_of_the_official_scripts() -> None:
    lines = ANSWERS.read_text(encoding="utf-8").split("\n")[:-1]
    between = 0
    for prediction, golds, scored in map(json.loads, lines):
        for rules, expected in scored.items():
            language = rules if rules.isalpha() else None
            version = "2.0" if rules == "2.0" else "1.1"
            found = [score(prediction, golds, language, version) for score in (exact_match, f1)]
            assert found == expected, (rules, prediction, golds)
            between += 0 < found[1] < 1
    assert between > 300  # and not only of those where nothing or all is right


def test_the_best_of_many_right_answers_counts() -> None:
    golds = ["in 1066", "the year 1066 of our Lord", "1066"]
    assert exact_match("1066.", golds) == 1
    assert f1("Year 1066 of", golds) == pytest.approx(3 / 4)


def test_where_no_answer_is_right_only_none_is() -> None:
    assert (exact_match("", []), f1("", [])) == (1, 1)
    assert (exact_match("1066", []), f1("1066", [])) == (0, 0)
    with pytest.raises(DataError, match=r"answers = \[\]: at least one right answer; score by"):
        f1("", [], version="1.1")


def test_in_chinese_each_character_is_a_word() -> None:
    assert normalize("《茶 经》，Lu Yu 著。", "zh") == "茶 经 lu yu 著"
    assert f1("唐代陆羽", ["陆羽"], "zh", "1.1") == pytest.approx(2 / 3)
    assert f1("唐代陆羽", ["陆羽"]) == 0


def test_an_unknown_language_is_a_mistake_with_those_that_are_known() -> None:
    with pytest.raises(DataError, match=r"language = 'fr': no rules .* use one of en, es, de"):
        f1("thé", ["le thé"], "fr")
