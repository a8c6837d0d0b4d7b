"""Words, shingles and their similarity against plain Python."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.deduplicate.shingles import shingle_rows, shingles, similarity
from dslm.preprocess.text import folded_words
from dslm.preprocess.text.folded_words import words_between_punctuation as words

SETTINGS = Duplicates(near=True)
TEXTS = st.text(st.sampled_from("abB1_é -.\n\u0301春眠ไท😀ß\ud800") | st.characters(), max_size=40)


def plain_words(text: str) -> list[str]:
    """The words of a text, letter by letter."""
    found, open_word = [], False
    for letter in text.lower():
        alone = ord(letter) > 0xFFFE or "CJK" in unicodedata.name(letter, "") or letter in "ไท"
        inside = unicodedata.category(letter)[0] in "LNM"
        if alone or (inside and not open_word):
            found.append(letter)
        elif inside:
            found[-1] += letter
        open_word = inside and not alone
    return found


def same_pattern(left: Sequence[object], right: Sequence[object]) -> bool:
    """Whether two sequences repeat themselves in the same places."""
    return [left.index(value) for value in left] == [right.index(value) for value in right]


@given(
    st.lists(st.text(st.sampled_from("abB1_é -.\n\u0301春眠ไท😀ß\ud800"), max_size=40), max_size=5)
)
def test_words_are_those_of_plain_python(texts: list[str]) -> None:
    plain = [plain_words(text) for text in texts]
    found = words(texts)
    assert found.lengths.tolist() == [len(row) for row in plain]
    assert same_pattern(found.values.tolist(), [word for row in plain for word in row])


@given(st.lists(TEXTS, max_size=5))
def test_a_text_has_the_same_words_in_any_company(texts: list[str]) -> None:
    together = words(texts)
    for number, text in enumerate(texts):
        assert together[number].tolist() == words([text]).values.tolist()


def test_a_text_longer_than_a_piece_has_all_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "one two three four five six "
    whole = words([text, "春眠", text]).values.tolist()
    monkeypatch.setattr(folded_words, "PIECE", 14)
    assert words([text, "春眠", text]).values.tolist() == whole


def test_case_punctuation_and_spaces_do_not_matter() -> None:
    left, right = shingles("It is -- said he -- a Whale!", SETTINGS), "it is said he a\n whale"
    assert left.size == 2
    assert similarity(left, shingles(right, SETTINGS)) == 1


def test_the_order_of_letters_and_words_matters() -> None:
    tea, eat, turned = (
        shingles(text, SETTINGS) for text in ("tea or ale", "eat or ale", "ale or tea")
    )
    assert similarity(tea, eat) == similarity(tea, turned) == 0


def test_chinese_is_compared_by_characters() -> None:
    left, right = (shingles(text, SETTINGS) for text in ("春眠不觉晓处处", "春眠不觉晓，处闻"))
    assert left.size == 3
    assert similarity(left, right) == 2 / 4


def test_a_short_text_is_one_shingle_and_a_text_without_words_has_none() -> None:
    rows = shingle_rows(["two words", "", "one two three four five six", "…!?"], 5)
    assert rows.lengths.tolist() == [1, 0, 2, 0]


@given(st.lists(st.sampled_from("abc"), max_size=15), st.lists(st.sampled_from("abc"), min_size=1))
def test_similarity_is_that_of_sets_of_tuples(left: list[str], right: list[str]) -> None:
    settings = Duplicates(near=True, shingle=3)
    sets = [
        {tuple(row[at : at + 3]) for at in range(max(1, len(row) - 2))} if row else set()
        for row in (left, right)
    ]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    found = [shingles(" ".join(row), settings) for row in (left, right)]
    assert [row.size for row in found] == [len(row) for row in sets]
    assert similarity(*found) == expected
