"""Rules about line ends, about headings, and about sentences that would be too long."""

from __future__ import annotations

import pytest
from helpers.sentence_cuts import cut
from hypothesis import example, given
from hypothesis import strategies as some

from dslm.preprocess.text.sentences import sentence_starts

ENDS = pytest.mark.parametrize("end", ["\n", "\r\n"])


def line(size: int) -> str:
    """A line of so many characters, which is no heading."""
    return ("Some words of a line " * size)[: size - 1] + "."


@ENDS
@pytest.mark.parametrize("blank", ["", " ", "\t", "\n", " \n ", "\u3000", " " * 40])
def test_a_line_before_an_empty_one_is_a_sentence(end: str, blank: str) -> None:
    case = f"A title|{end}{blank}\nA line."
    assert cut(case) == case


@pytest.mark.parametrize("blanks", [" ", "  ", " \t ", " " * 40, "\u3000", "\xa0"])
def test_the_white_space_before_a_line_end_belongs_to_the_next_sentence(blanks: str) -> None:
    assert cut(f"A title|{blanks}\n\nA line.") == f"A title|{blanks}\n\nA line."
    assert cut(f"Milk|{blanks}\n- bread") == f"Milk|{blanks}\n- bread"


@ENDS
@pytest.mark.parametrize("size", [1, 60, 118, 119])
def test_lines_of_fewer_than_120_characters_may_be_wrapped(end: str, size: int) -> None:
    assert cut(f"A title{end}{line(size)[:-1]}x") == f"A title{end}{line(size)[:-1]}x"
    if end == "\n":  # the other one takes a character of the line
        assert cut(f"{line(size)[:-1]}x\nA line") == f"{line(size)[:-1]}x\nA line"


@ENDS
@pytest.mark.parametrize("size", [120, 121, 400])
def test_a_line_of_120_characters_or_more_is_a_paragraph(end: str, size: int) -> None:
    assert cut(f"A title|{end}{line(size)[:-1]}x") == f"A title|{end}{line(size)[:-1]}x"
    assert cut(f"{line(size)[:-1]}x|{end}A line") == f"{line(size)[:-1]}x|{end}A line"


@pytest.mark.parametrize("letter", ["é", "中", "🙂"])
def test_the_120_are_characters_and_not_bytes(letter: str) -> None:
    assert cut(f"A title\n{letter * 119}") == f"A title\n{letter * 119}"
    assert cut(f"A title|\n{letter * 120}") == f"A title|\n{letter * 120}"
    assert cut(f"A title\n{letter * 118}a\nA line") == f"A title\n{letter * 118}a\nA line"
    assert cut(f"A title|\n{letter * 119}a|\nA line") == f"A title|\n{letter * 119}a|\nA line"


@ENDS
@pytest.mark.parametrize("indent", ["", " ", "\t ", " " * 20])
@pytest.mark.parametrize(
    "item", [*"-*•·▪#>", "1.", "(1.", "12)", "(123)", "123.", "a)", "z)", "m)", "(a)", "(z)"]
)
def test_an_item_begins_a_sentence(item: str, indent: str, end: str) -> None:
    assert cut(f"Milk|{end}{indent}{item} bread") == f"Milk|{end}{indent}{item} bread"
    assert cut(f"Milk|{end}{indent}{item}\tbread") == f"Milk|{end}{indent}{item}\tbread"


@pytest.mark.parametrize("blank", [*" \t\v\f\r\x1c\x1d\x1e\x1f\x85\xa0\u2028\u3000"])
def test_an_item_is_indented_by_any_white_space(blank: str) -> None:
    assert cut(f"Milk|\n{blank}- bread") == f"Milk|\n{blank}- bread"
    assert cut(f"Milk|\n  {blank}-{blank}bread") == f"Milk|\n  {blank}-{blank}bread"


@pytest.mark.parametrize("digit", "0123456789")
def test_every_digit_numbers_an_item(digit: str) -> None:
    for item in (f"{digit}.", f"({digit})", f"{digit}{digit})", f"1{digit}{digit}."):
        assert cut(f"Milk|\n{item} bread") == f"Milk|\n{item} bread"


@pytest.mark.parametrize("indent", ["", "  "])
@pytest.mark.parametrize(
    "start",
    [
        *"+~=aA1",
        "A)",
        "1234.",
        "(1234)",
        "((1)",
        "1.5",
        "1:",
        "aa)",
        "a.",
        "`)",
        "{)",
        "((a)",
        "--",
    ],
)
def test_what_is_no_item_begins_none(start: str, indent: str) -> None:
    assert cut(f"Milk\n{indent}{start} bread") == f"Milk\n{indent}{start} bread"


@pytest.mark.parametrize("item", ["-", "*", "•", "#", ">", "1.", "(2)", "a)"])
def test_an_item_is_set_apart_by_a_space_on_its_line(item: str) -> None:
    assert cut(f"Milk\n{item}bread") == f"Milk\n{item}bread"
    assert cut(f"Milk\n{item}\nbread") == f"Milk\n{item}\nbread"


def test_an_ideographic_space_begins_a_paragraph() -> None:
    assert cut("A line|\n\u3000another") == "A line|\n\u3000another"
    assert cut("A line\n\u2003another") == "A line\n\u2003another"


@ENDS
@pytest.mark.parametrize("pair", ["ab", "az", "za", "zz"])
def test_two_small_letters_go_on_with_the_line_before(end: str, pair: str) -> None:
    assert cut(f"中文{end}{pair}") == f"中文{end}{pair}"
    assert cut(f"{line(130)[:-1]}x{end}{pair}") == f"{line(130)[:-1]}x{end}{pair}"


@ENDS
@pytest.mark.parametrize(
    "start", ["a1", "aA", "Aa", "é", "1a", "a", "aé", "éa", "{a", "`a", "a{", "a`"]
)
def test_anything_else_behind_a_chinese_line_begins_a_sentence(end: str, start: str) -> None:
    assert cut(f"中文|{end}{start}") == f"中文|{end}{start}"


@pytest.mark.parametrize("heading", ["AB", "PART TWO", "II", "THE END 1", "— ZZ —", "4 AA: 1"])
@pytest.mark.parametrize("after", ["It was", "was it"])
def test_a_heading_is_a_sentence(heading: str, after: str) -> None:
    assert cut(f"It ended|\n{heading}|\n{after}") == f"It ended|\n{heading}|\n{after}"


@pytest.mark.parametrize(
    "start",
    [
        "A B",
        "A@",
        "@A",
        "[[",
        "A[",
        "PART Two",
        "A1B",
        "ABc",
        "zAB",
        "aAB",
        "ªAB",
        "µAB",
        "ºAB",
        "ÀB AB",
        "中AB",
    ],
)
def test_a_line_with_a_letter_that_is_no_plain_capital_is_no_heading(start: str) -> None:
    assert cut(f"It ended\n{start}\nIt was") == f"It ended\n{start}\nIt was"
    assert cut(f"It ended\nAB {start}a\nIt was") == f"It ended\nAB {start}a\nIt was"


@pytest.mark.parametrize("sign", ["\x80", "©", "«", "¹", "»", "¿", "\u2000", "’", "\u206f", "`{"])
def test_a_heading_may_hold_signs(sign: str) -> None:
    assert cut(f"It ended|\n1{sign}AB{sign}1|\nIt was") == f"It ended|\n1{sign}AB{sign}1|\nIt was"


@pytest.mark.parametrize("letter", ["À", "Я", "\u1fff", "\u2070", "™", "\U0010ffff"])
def test_a_heading_holds_no_letters_beyond_latin(letter: str) -> None:
    assert cut(f"It ended\n{letter}AB\nIt was") == f"It ended\n{letter}AB\nIt was"
    assert cut(f"It ended\nAB{letter}\nIt was") == f"It ended\nAB{letter}\nIt was"


def test_a_heading_has_60_signs_at_most_before_and_behind_its_capitals() -> None:
    long, longer = "1" * 60, "1" * 61
    for heading in (f"{long}AB", f"AB{long}", f"{long}AB{long[:50]}"):
        assert cut(f"It ended|\n{heading}|\nIt was") == f"It ended|\n{heading}|\nIt was"
    for heading in (f"{longer}AB", f"AB{longer}"):
        assert cut(f"It ended\n{heading}\nIt was") == f"It ended\n{heading}\nIt was"


def test_a_heading_is_not_cut_within() -> None:
    assert cut("It ended|\nPART ONE. II|\nIt was. So.") == "It ended|\nPART ONE. II|\nIt was.| So."


def test_a_heading_may_follow_the_end_of_a_sentence() -> None:
    for end in ("ended.", "ended?”", "终。"):
        assert cut(f"It {end}|\nPART TWO|\nIt was") == f"It {end}|\nPART TWO|\nIt was"


def test_a_heading_is_one_line() -> None:
    assert cut("It ended\n1 2|\nAB|\n3 4\nIt was") == "It ended\n1 2|\nAB|\n3 4\nIt was"


def test_the_last_line_is_no_heading() -> None:
    assert cut("It ended\nTHE END") == "It ended\nTHE END"


@given(size=some.integers(1, 6000))
@example(size=2000)
@example(size=2001)
@example(size=4001)
def test_a_text_without_pauses_is_cut_after_every_2000_characters(size: int) -> None:
    assert sentence_starts("x" * size) == [*range(0, size, 2000)]


@given(place=some.integers(0, 2500), mark=some.sampled_from([*";，、：—", ", ", ": ", ",\n"]))
@example(place=999, mark="，")
@example(place=1000, mark="，")
@example(place=1999, mark="，")
@example(place=2000, mark="，")
def test_a_long_sentence_is_cut_behind_a_clause_of_its_second_half(place: int, mark: str) -> None:
    text = "x" * place + mark + "x" * (3000 - place)
    behind = place + 1
    last = 2000 - (len(mark) - 1)  # its space must be there to be seen
    assert sentence_starts(text)[1] == (behind if 1000 < behind <= last else 2000)


@given(place=some.integers(0, 2500), space=some.sampled_from(" \t\u3000\n"))
@example(place=999, space=" ")
@example(place=1000, space=" ")
@example(place=1999, space=" ")
def test_a_long_sentence_without_clauses_is_cut_before_a_space(place: int, space: str) -> None:
    text = "x" * place + space + "x" * (3000 - place)
    assert sentence_starts(text)[1] == (place if 1000 <= place < 2000 else 2000)


@pytest.mark.parametrize("mark", [",", ":", "!", "-", "–", "(", "·"])
def test_a_mark_within_a_word_is_no_pause(mark: str) -> None:
    text = "x" * 1500 + " " + "x" * 100 + mark + "x" * 1000
    assert sentence_starts(text)[1] == 1500


@pytest.mark.parametrize("mark", [*";，、：—", ", ", ": "])
def test_the_last_clause_is_taken_before_a_later_space(mark: str) -> None:
    text = "x" * 1100 + "，" + "x" * 100 + mark + "x" * 100 + " " + "x" * 1000
    assert sentence_starts(text)[1] == 1202


def test_a_chinese_semicolon_that_ends_no_sentence_is_a_pause() -> None:
    text = "x" * 1100 + "，" + "x" * 100 + "；」と" + "x" * 1000
    assert sentence_starts(text)[1] == 1202
