"""Each rule of quality leaves out what it is meant for, and ordinary prose passes all of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.config.parse import parse
from dslm.preprocess.clean.quality import Quality, QualityConfig
from dslm.preprocess.document import Document

SETTINGS = QualityConfig()
NOTHING = {
    field.name: True if isinstance(field.default, bool) else None for field in fields(QualityConfig)
}
OFF = parse(QualityConfig, NOTHING)
PROSE = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune "
    "must be in want of a wife. However little known the feelings or views of such a man may be, "
    "this truth is so well fixed in the minds of the families. He is considered the property of "
    "some one or other of their daughters. “My dear,” said his lady to him one day, “have you "
    "heard?” He had not. “But it is,” she returned.\n"
)
CHINESE = (
    "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"
    "汉朝自高祖斩白蛇而起义，一统天下，后来光武中兴，传至献帝，遂分为三国。"
)


def reason(text: str, settings: QualityConfig = SETTINGS, language: str = "") -> str | None:
    return Quality(settings)([Document(text, language=language)], Counter())[0]


@pytest.mark.parametrize("text", [PROSE, CHINESE, PROSE.replace(". ", ".\n")])
def test_prose_passes_every_rule(text: str) -> None:
    assert reason(text) is None


def test_with_every_rule_off_anything_passes() -> None:
    for text in ("", "#", "{ lorem ipsum", "1", "•\n•"):
        assert reason(text, OFF) is None


CASES = [
    ("minimum_words", "few words", "one two " * 24, "one two " * 25),
    ("maximum_words", "many words", "word " * 100_001, "word " * 100_000),
    ("minimum_mean_length", "short words", "ab cde " * 9, "abc cde " * 9),
    ("maximum_mean_length", "long words", "abcdefghij " * 9 + "abcdefghijk", "abcdefghij " * 9),
    ("symbols", "symbols", "# # a b c d e f g h i", "# a b c d e f g h i"),
    ("symbols", "symbols", "so... so…so a b c", "so.... a b c d e f g h i"),
    ("bullet_lines", "bullets", "• one\n" * 10, "• one\n" * 9 + "one"),
    ("ellipsis_lines", "ellipses", "so...\nwhat…\n" + "yes\n" * 4, "so...\n" * 3 + "yes\n" * 7),
    ("alphabetic_words", "words without letters", "a 1 - b", "a b c 4th 5"),
    ("stop_words", "few stop words", "the the cat sat", "the cat and dog"),
    ("sentences", "few sentences", "One. Two? Three! Four.", "One. Two? “Three!” Four.\nFive"),
    ("curly_brackets", "curly bracket", "int main() {", "int main()"),
    ("lorem_ipsum", "lorem ipsum", "so: Lorem Ipsum dolor", "ipsum lorem"),
    ("punctuated_lines", "unpunctuated lines", "a.\n" + "b\n" * 8, "a.\n" + "b\n" * 7),
    ("short_lines", "short lines", "a" * 30 + "\n" + "a" * 31, "a" * 31),
    ("digits", "digits", "abcdefgh 12", "abcdefghi 1"),
]


@pytest.mark.parametrize(("name", "expected", "bad", "good"), CASES)
def test_a_rule_leaves_out_what_it_names_and_nothing_less(
    name: str, expected: str, bad: str, good: str
) -> None:
    value = 0.5 if name == "short_lines" else getattr(SETTINGS, name)
    only = parse(QualityConfig, {**NOTHING, name: value})
    assert reason(bad, only) == expected
    assert reason(good, only) is None


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == {field.name for field in fields(QualityConfig)} - {"on"}


def test_rules_about_english_are_not_asked_of_other_languages() -> None:
    german = "Wir sitzen hier unten und warten schon lange auf euch. " * 6
    assert reason(german, language="en") == "few stop words"
    assert reason(german, language="de") is None
    assert reason(german) is None
    assert reason("Мы сидим здесь и давно уже ждём вас всех у моря. " * 6) is None


def test_short_lines_of_chinese_verse_are_not_short() -> None:
    verse = "白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。\n" * 3
    assert reason(verse, replace(OFF, short_lines=0.67)) is None


@pytest.mark.parametrize(
    "end", [".", ".”", "?)", ".]", "!» ", "。」", ".)”", " 。", '"', "」", "۔", "།"]
)
@pytest.mark.parametrize("stop", ["", "(12)", "[1]", "}", "»", ":", ","])
def test_a_bracket_ends_a_line_only_after_a_sentence(end: str, stop: str) -> None:
    only = replace(OFF, punctuated_lines=0.12)
    assert reason(f"name {stop}\nname {stop}", only) == "unpunctuated lines"
    assert reason(f"name {stop}{end}\nname {stop}", only) is None


@pytest.mark.parametrize(
    ("text", "is_program"),
    [
        ("Resolution 217-A-{3} of the year", False),
        ("The set {a, b} and {सर्वांगीण}", False),
        ("a slip{of the hand", False),
        ("x = {a: 1}", True),
        ("lives in {prefix}", True),
        ("{{name}} and \\\\frac{a}{b}", True),
        ("void f() { return x }", True),
        ("f(){", True),
        ("{ color }", True),
    ],
)
def test_curly_brackets_are_of_programs_unless_they_are_used_as_round_ones(
    text: str, is_program: bool
) -> None:
    assert (reason(text, replace(OFF, curly_brackets=False)) is not None) is is_program


def test_a_line_of_few_characters_but_many_words_is_not_short() -> None:
    only = replace(OFF, short_lines=0.67)
    lines = "그는 그 날 그 집 앞 길 에 섰다.\n비 가 내려 온 길 이 다 젖었다.\n" * 3
    assert reason(lines, only) is None
    assert reason("그는 갔다.\n비가 왔다.\n" * 3, only) == "short lines"


def test_speech_after_dashes_is_no_list_but_in_english() -> None:
    only = replace(OFF, bullet_lines=0.9)
    speech = "- Wo bist du gewesen?\n- Im Wald.\n"
    assert reason(speech, only, "de") is None
    assert reason(speech, only, "en") == "bullets"
    assert reason(speech.replace("-", "・").replace(".", ""), only, "de") == "bullets"


def test_a_number_weighs_as_little_in_chinese_as_in_english() -> None:
    text = "公司于2021年3月在上海市成立，是一家从事软件开发和技术服务的企业，现有员工320人。"
    assert reason(text, replace(OFF, digits=0.15)) is None
    assert reason("abc 123 " * 9, replace(OFF, digits=0.15)) == "digits"


@given(st.lists(st.text("a the.。山#…-1 \n", max_size=30), max_size=5))
def test_a_document_is_judged_by_itself_alone(texts: list[str]) -> None:
    settings = replace(SETTINGS, minimum_words=3, sentences=2)
    together = Quality(settings)([Document(text) for text in texts], Counter())
    assert together == [reason(text, settings) for text in texts]
