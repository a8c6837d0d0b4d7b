"""Sentences of many texts at once against those of each alone, which are the oracle."""

from __future__ import annotations

from itertools import product

import pytest
from helpers.sentence_cuts import together
from hypothesis import example, given, settings
from hypothesis import strategies as some

from dslm.preprocess.text import sentence_batch
from dslm.preprocess.text.sentence_batch import sentences_of
from dslm.preprocess.text.sentences import CANDIDATE, LONGEST, MARK, sentence_starts

PIECES = [
    *"aAxXiI1 \n\r\t.!?;:,-—–…'\"()[]*_#>•“”‘’「」。！？；｡，、\u3000\xa0\x1c\x85éß中文のカ🙂",
    *("Mr", "us", "It", "art", "St", "No", "IV", "he", "the", "The", "CHAPTER", "e.g", "www"),
    *("\r\n", "\n\n", "\r\n\r\n", " \n", "\n    ", "\n- ", "\n12. ", "\n(a) ", ". . .", '."', ".”"),
    *"।۔։።။៖؟፡༎",
    *("line " * 30, "行" * 130, " " * 40),
]
ITEMS = (
    *("- a", "•", "-", "* ", "▪\ta", "-a", "-\xa0a", "1.", "12) a", "123. ", "1234. ", "(1) "),
    *("(a) b", "(a", "a) b", "A) b"),
)
HEADINGS = "AB", "AB\n", "A. B\n", "1234567 AB\n", "ÉAB\n", "ABab\n", "AB. CD? EF.\n", "“AB\n"
TEXTS = some.lists(some.lists(some.sampled_from(PIECES), max_size=25).map("".join), max_size=6)


@settings(max_examples=1500)
@given(texts=TEXTS.filter(bool))
@example(texts=["中。!?) A", "中。！", "", "\n\n"])
@example(texts=["「It is Mr.」 A"])
@example(texts=["a\n\nPART ONE. II\n\nb. A", "Mr", ". A"])
def test_many_texts_have_the_sentences_of_each(texts: list[str]) -> None:
    assert together(texts) == [sentence_starts(text) for text in texts]


@given(texts=TEXTS.filter(bool))
def test_places_among_bytes_are_those_among_characters(texts: list[str]) -> None:
    sentences = sentences_of(texts, [text.encode() for text in texts])
    owners = [text for text, n in zip(texts, sentences.counts, strict=True) for _ in range(n)]
    for text, place, byte in zip(owners, sentences.characters, sentences.bytes, strict=True):
        assert len(text[:place].encode()) == byte


@pytest.mark.parametrize("most", [1, 4, 20, 1 << 20])
@pytest.mark.parametrize("odd", ["é. É\n\n中。🙂\0. Ü.", "\0", "行" * 5000])
def test_places_among_bytes_are_right_for_a_text_that_stands_alone(
    monkeypatch: pytest.MonkeyPatch, most: int, odd: str
) -> None:
    monkeypatch.setattr(sentence_batch, "MOST", most)
    texts = ["ß. Ä", odd, "", "中。好"]
    sentences = sentences_of(texts, [text.encode() for text in texts])
    assert sentences.bytes.tolist() == [
        len(text[:start].encode()) for text in texts for start in sentence_starts(text)
    ]


@given(text=some.lists(some.sampled_from(PIECES), max_size=40).map("".join))
def test_marks_looked_at_one_by_one_are_those_a_search_finds(text: str) -> None:
    marks = [match.start() for match in MARK.finditer(text)]
    place, matched = 0, []
    for mark in marks:
        if mark >= place and (match := CANDIDATE.match(text, mark)):
            matched.append(match.span())
            place = match.end()
    assert matched == [match.span() for match in CANDIDATE.finditer(text)]


@pytest.mark.parametrize("odd", ["Nul\0. Yes.\n\nNo.", "It is. \0 So.", "word " * LONGEST, ""])
def test_a_text_that_stands_alone_is_in_its_place(
    monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    monkeypatch.setattr(sentence_batch, "MOST", 100)
    texts = ["It is. So.", odd, odd, "中文。好。", "Who? Me!"]
    assert together(texts) == [sentence_starts(text) for text in texts]


@pytest.mark.parametrize("before", ["", "It is. So.", "1. Wash", "中", "A\n\nPART ONE. II\n\nb"])
def test_marks_within_a_heading_are_passed_in_whichever_text_it_is(before: str) -> None:
    texts = [before, "It is.\n\nPART ONE. II\n\nIt was. So."]
    assert together(texts) == [sentence_starts(text) for text in texts]


def test_a_long_sentence_is_cut_among_others() -> None:
    texts = ["Short. Text.", "word, " * LONGEST + "end. Next.", "。".join("行" * LONGEST), "A. B."]
    assert together(texts) == [sentence_starts(text) for text in texts]


def test_every_sentence_end_is_that_of_a_text_alone() -> None:
    texts = product(
        ["", "a", "1", " ", "us", " Mr", " St", " etc", " Co", " iv", "xiii", ".", "é", "中", "の"],
        [*".!?…。；｡;।۔", ".।", "۔.", "..", ". .", "。!", "。!?"],
        ["", '"', "”", "」", ")", '")]}*'],
        ["", " ", "\n", "\xa0", " " * 20, " -"],
        ["", *"aA1.,-—“‘éÉ中の豈𠀀"],
    )
    texts = ["".join(parts) for parts in texts]
    assert together(texts) == [sentence_starts(text) for text in texts]


def test_every_line_end_is_that_of_a_text_alone() -> None:
    texts = product(
        ["", *"a1.é中のカ豈𠀀“–", "x" * 119, "x" * 120, "AB"],
        ["", " ", "\r", "    ", "\u3000", "\x85"],
        ["\n", "\n\n", "\n \n", "\n\n\n"],
        ["", " ", " " * 9, "\u3000", " " * 30],
        ["", "ab", "a", "aB", "1", *ITEMS, *HEADINGS, *"é中の豈𠀀“…", "x" * 119, "x" * 120],
    )
    texts = ["".join(parts) for parts in texts]
    assert together(texts) == [sentence_starts(text) for text in texts]
