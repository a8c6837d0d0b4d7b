"""Where paragraphs are, and texts without some of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.deduplicate.paragraphs import nothing_beside, paragraphs, remove

TEXTS = st.text(alphabet="ab \n\u3000", max_size=60)


def found(text: str, least: int) -> list[str]:
    return [text[begin:end] for begin, end in paragraphs(text, least)]


def test_a_long_line_is_a_paragraph() -> None:
    assert found("first line\nsecond line\n", 10) == ["first line", "second line"]


def test_short_lines_without_a_blank_one_between_them_are_one_paragraph() -> None:
    assert found("one two\nthree\n\nfour\nfive\n \t\nsix", 9) == ["one two\nthree", "four\nfive"]


def test_a_long_line_ends_the_run_of_short_ones_before_it() -> None:
    assert found("a\nb\nc\nlong long line\nd\ne\nf", 5) == ["a\nb\nc", "long long line", "d\ne\nf"]


def test_a_long_blank_line_is_no_paragraph() -> None:
    assert found("          \nfirst line", 8) == ["first line"]


def test_chinese_characters_count_as_characters() -> None:
    assert found("春眠不觉晓\n处处闻啼鸟", 5) == ["春眠不觉晓", "处处闻啼鸟"]


@given(TEXTS, st.integers(1, 10))
def test_paragraphs_follow_each_other_and_are_long_enough(text: str, least: int) -> None:
    spans = paragraphs(text, least)
    borders = [border for span in spans for border in span]
    assert borders == sorted(borders)
    assert all(end - begin >= least for begin, end in spans)
    assert all(text[begin:end].strip() for begin, end in spans)


@given(TEXTS)
def test_all_that_is_not_blank_is_in_a_paragraph_when_none_is_too_short(text: str) -> None:
    assert nothing_beside(text, paragraphs(text, 1))


def test_text_beside_the_paragraphs_is_noticed() -> None:
    text = "a\n\nlong line\n\nb"
    assert not nothing_beside(text, paragraphs(text, 5))


@pytest.mark.parametrize(
    ("text", "numbers", "rest"),
    [
        ("AAAA\nBBBB\nCCCC\n", [1], "AAAA\nCCCC\n"),
        ("AAAA\n\nBBBB\n\nCCCC", [1], "AAAA\n\nCCCC"),
        ("AAAA\n\nBBBB\n\nCCCC\n", [0], "BBBB\n\nCCCC\n"),
        ("AAAA\n\nBBBB\n\nCCCC\n", [2], "AAAA\n\nBBBB"),
        ("AAAA\n\nBBBB\n \n  CCCC", [1], "AAAA\n\n  CCCC"),
        ("AAAA\nx\nBBBB", [0, 1], "x"),
        ("AAAA\nBBBB", [0, 1], ""),
        ("AAAA\nBBBB\n", [], "AAAA\nBBBB\n"),
    ],
)
def test_a_removed_paragraph_takes_the_line_breaks_after_it(
    text: str, numbers: list[int], rest: str
) -> None:
    assert remove(text, numbers, 4) == rest


@given(TEXTS, st.integers(1, 6), st.data())
def test_removing_changes_nothing_but_white_space_elsewhere(
    text: str, least: int, data: st.DataObject
) -> None:
    spans = paragraphs(text, least)
    numbers = sorted(data.draw(st.sets(st.sampled_from(range(len(spans))))) if spans else [])
    gone = {place for number in numbers for place in range(*spans[number])}
    left = "".join(letter for place, letter in enumerate(text) if place not in gone)
    assert "".join(remove(text, numbers, least).split()) == "".join(left.split())
