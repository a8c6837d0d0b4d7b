"""Rules about the marks that end a sentence, what closes it, and what may begin the next."""

from __future__ import annotations

import pytest
from helpers.sentence_cuts import cut
from hypothesis import given
from hypothesis import strategies as some

CLOSING = "”’」』）》〉】〕］｝〗"
WESTERN = "\"')]}»*_"
OPENING = "“‘「『（《〈【〔［"
WIDE = "。！？；｡"

MARKS = (*".!?…", "...", "?!")
HAN = (("\u3400", "\u9fff"), ("\uf900", "\ufaff"), ("\U00020000", "\U0003ffff"))
EDGES = [*(edge for edges in HAN for edge in edges), "中", "\ufa11", "\U0002a6d6"]
BESIDE = ["\u33ff", "\ua000", "\uf8ff", "\ufb00", "\U0001ffff", "\U00040000"]
han = some.one_of(some.characters(min_codepoint=ord(a), max_codepoint=ord(b)) for a, b in HAN)


@pytest.mark.parametrize("close", ["", *CLOSING, *WESTERN, '")', "**", "”’」"])
def test_a_sentence_ends_behind_what_closes_it(close: str) -> None:
    for mark in MARKS:
        assert cut(f"He came{mark}{close}| She left.") == f"He came{mark}{close}| She left."
        assert cut(f"他来了{mark}{close}|她走了。") == f"他来了{mark}{close}|她走了。"


@pytest.mark.parametrize("mark", [",", ":", "¡", "¿", "‥", "-", "·", "､", "、"])
def test_other_marks_end_no_sentence(mark: str) -> None:
    assert cut(f"He came{mark} She left.") == f"He came{mark} She left."
    assert cut(f"他来了{mark}她走了。") == f"他来了{mark}她走了。"


def test_a_semicolon_ends_a_sentence_before_chinese_only() -> None:
    assert cut("He came; She left.") == "He came; She left."
    assert cut("He came; 她走了。") == "He came; 她走了。"
    assert cut("先洗米;|后煮饭。") == "先洗米;|后煮饭。"


@pytest.mark.parametrize("other", "@#/=+~({[<«aA1éの")
def test_a_mark_right_before_other_text_ends_nothing(other: str) -> None:
    for mark in MARKS:
        assert cut(f"It is{mark}{other}x here.") == f"It is{mark}{other}x here."


@pytest.mark.parametrize("opening", OPENING)
def test_an_opening_bracket_needs_no_space_before_it(opening: str) -> None:
    for mark in MARKS:
        assert cut(f"It is{mark}|{opening}He left.") == f"It is{mark}|{opening}He left."


@pytest.mark.parametrize("gap", [" ", "\t", "\n", "\xa0", "\u3000 ", " " * 30])
@pytest.mark.parametrize("start", "AZ19“\"'(*_«$`{🙂中のÉÀÖØÞĀАЯΩѠ[×÷")
def test_what_is_no_small_letter_begins_a_sentence(gap: str, start: str) -> None:
    for mark in MARKS:
        assert cut(f"She came{mark}|{gap}{start} it.") == f"She came{mark}|{gap}{start} it."


@pytest.mark.parametrize("gap", [" ", "\n", "\u3000", " " * 30, " - ", " –", "\n—"])
@pytest.mark.parametrize("start", "amzßàéöøüÿαβωаяёџ,;:")
def test_a_small_letter_or_a_comma_goes_on(gap: str, start: str) -> None:
    for mark in MARKS:
        assert cut(f"She came{mark}{gap}{start} it.") == f"She came{mark}{gap}{start} it."


@pytest.mark.parametrize("dash", ["-", "–", "—", "--", "- –", "-\n—"])
def test_a_dash_tells_by_what_follows_it(dash: str) -> None:
    for mark in MARKS:
        assert cut(f"He came{mark} {dash} he left.") == f"He came{mark} {dash} he left."
        assert cut(f"He came{mark}| {dash} He left.") == f"He came{mark}| {dash} He left."
        assert cut(f"He came{mark} {dash}") == f"He came{mark} {dash}"


@pytest.mark.parametrize(
    "run", ["..", ". .", ". . .", "! ?", "? !", ". …", "! .", "…!", "… …", ".!?", "?…"]
)
def test_of_several_marks_the_last_ends_the_sentence(run: str) -> None:
    assert cut(f"He came{run}| She left.") == f"He came{run}| She left."
    assert cut(f"他来了{run}|她走了。") == f"他来了{run}|她走了。"


@pytest.mark.parametrize(
    "gap", [" " * 17, " " * 130, " " * 1000, "\t" * 17, " \t" * 40, "\xa0" * 40]
)
def test_a_gap_of_any_width_is_looked_across(gap: str) -> None:
    assert cut(f"He came.|{gap}She left.") == f"He came.|{gap}She left."
    assert cut(f"He came.{gap}she left.") == f"He came.{gap}she left."
    assert cut(f"It is good .|{gap}it works .") == f"It is good .|{gap}it works ."


def test_marks_two_spaces_apart_end_two_sentences() -> None:
    assert cut("He came!|  !| So.") == "He came!|  !| So."


@pytest.mark.parametrize("word", ["good", "éé", "99", "中", "no_", "IT"])
@pytest.mark.parametrize("next_word", ["it", "It", "été", ", it", "- it"])
def test_a_period_behind_a_space_ends_a_sentence(word: str, next_word: str) -> None:
    for gap in (" ", "\n", "\t", "  "):
        case = f"This film is {word} .|{gap}{next_word} works ."
        assert cut(case) == case


@pytest.mark.parametrize(
    "before", ["good  .", "good\t.", "good\n.", ") .", ", .", "good !", "good."]
)
def test_a_small_letter_goes_on_if_the_period_is_not_one_space_behind_a_word(before: str) -> None:
    assert cut(f"This film is {before} it works .") == f"This film is {before} it works ."


def test_a_period_behind_a_space_is_closed_by_nothing_before_a_small_letter() -> None:
    assert cut("the film is good .) it works .") == "the film is good .) it works ."
    assert cut("the film is good .| ) it works .") == "the film is good .| ) it works ."


@given(letter=han, mark=some.sampled_from([*".!?…;", *WIDE, ".”", "。」"]))
def test_every_ideograph_begins_a_sentence_right_behind_a_mark(letter: str, mark: str) -> None:
    assert cut(f"abcd{mark}|{letter}x") == f"abcd{mark}|{letter}x"


@given(letter=han, end=some.sampled_from(["\n", "\r\n"]))
def test_every_ideograph_at_the_end_of_a_line_ends_a_sentence(letter: str, end: str) -> None:
    assert cut(f"x{letter}|{end}x") == f"x{letter}|{end}x"


@pytest.mark.parametrize("letter", EDGES)
def test_a_compatibility_ideograph_is_an_ideograph_as_any_first_and_last_one(letter: str) -> None:
    for mark in ".!?…;":
        assert cut(f"abcd{mark}|{letter}x") == f"abcd{mark}|{letter}x"
    for end in ("\n", "\r\n"):
        assert cut(f"x{letter}|{end}x") == f"x{letter}|{end}x"


@pytest.mark.parametrize("letter", BESIDE)
def test_what_is_beside_the_ideographs_is_none(letter: str) -> None:
    for mark in ".!?…;":
        assert cut(f"abcd{mark}{letter}x") == f"abcd{mark}{letter}x"
    for end in ("\n", "\r\n"):
        assert cut(f"x{letter}{end}x") == f"x{letter}{end}x"


@pytest.mark.parametrize("letter", ["\u3040", "あ", "ん", "\u309f"])
def test_hiragana_ends_a_line_and_goes_on_behind_a_quotation(letter: str) -> None:
    for end in ("\n", "\r\n"):
        assert cut(f"x{letter}|{end}x") == f"x{letter}|{end}x"
    for close in [*CLOSING, '"', "'", "…"]:
        assert cut(f"「好。{close}{letter}") == f"「好。{close}{letter}"
    assert cut(f"好。|{letter}") == f"好。|{letter}"
    assert cut(f"abcd.{letter}x") == f"abcd.{letter}x"


@pytest.mark.parametrize("letter", ["\u303f", "\u30a0", "カ", "ー"])
def test_other_letters_do_neither(letter: str) -> None:
    for end in ("\n", "\r\n"):
        assert cut(f"x{letter}{end}x") == f"x{letter}{end}x"
    for close in [*CLOSING, '"', "'"]:
        assert cut(f"「好。{close}|{letter}") == f"「好。{close}|{letter}"


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\r", " \r", "\u3000", "。 ", "-", "A", "é"])
def test_a_line_that_does_not_end_in_chinese_may_be_wrapped(blank: str) -> None:
    assert "|\n" not in cut(f"中文{blank}\nx")


@pytest.mark.parametrize("mark", WIDE)
@pytest.mark.parametrize("more", ["", *WIDE, *"…!?", "……", "！？!"])
def test_a_chinese_sentence_ends_behind_all_its_marks(mark: str, more: str) -> None:
    for close in ["", *CLOSING, *"\"'", "」』”"]:
        assert cut(f"他来了{mark}{more}{close}|她走了") == f"他来了{mark}{more}{close}|她走了"


@pytest.mark.parametrize("start", [*"xX1(“カé-][*🙂", " x"])
def test_a_chinese_sentence_ends_before_whatever_follows(start: str) -> None:
    for mark in WIDE:
        for close in ("", "…", "!", "?", "」", "!」", '"'):
            assert cut(f"他来了{mark}{close}|{start}走了") == f"他来了{mark}{close}|{start}走了"


@pytest.mark.parametrize("comma", "，、：,:")
def test_a_chinese_sentence_goes_on_with_a_comma(comma: str) -> None:
    for mark in WIDE:
        for close in ["", *CLOSING, *"\"'"]:
            assert cut(f"他来了{mark}{close}{comma}她走了") == f"他来了{mark}{close}{comma}她走了"


@pytest.mark.parametrize("more", "…!?")
def test_a_chinese_sentence_goes_on_with_a_mark_behind_its_quotation(more: str) -> None:
    assert cut(f"他说“好。”{more}x") == f"他说“好。”{more}x"
    assert cut(f"他说“好。”{more}|她走了") == f"他说“好。”{more}|她走了"


def test_a_text_may_begin_with_a_mark() -> None:
    for text in ("!| So.", ". . .| So.", "。|她走了", "…|他", "\n- So.", "\n\nSo."):
        assert cut(text) == text


@pytest.mark.parametrize("blank", [" ", "\n", "\n\n", " \n ", "\n\u3000", "\n\n\n\t"])
def test_white_space_at_the_end_of_a_text_is_no_sentence(blank: str) -> None:
    for text in ("He came.", "A title", "It is good .", "他来了。", "中文", "“好。”", "AB"):
        assert cut(text + blank) == text + blank


def test_marks_behind_a_closed_quotation_go_on_with_it() -> None:
    assert cut("他说：“好。”！|她走了。") == "他说：“好。”！|她走了。"
