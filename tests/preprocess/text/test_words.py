"""Words as arrays: the same words as by hand, whatever is around them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.clean.word_filter import WordFilter, WordFilters
from dslm.preprocess.document import Document
from dslm.preprocess.text.words import LIMIT, Words, split


def words_of(text: str) -> list[str]:
    words = split([Document(text)])
    return [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]


@given(st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs"])))
def test_words_are_those_of_str_split_in_scripts_with_spaces(text: str) -> None:
    assert words_of(text) == text.split()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("白日依山盡，黃", ["白", "日", "依", "山", "盡，", "黃"]),
        ("使用GPU训练 2 次。", ["使", "用", "GPU", "训", "练", "2", "次。"]),
        ("ひらカタ", ["ひ", "ら", "カ", "タ"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("ꊿꂷ，ꌅ", ["ꊿ", "ꂷ，", "ꌅ"]),
        ("ｶﾞﾅ", ["ｶ", "ﾞ", "ﾅ"]),
        ("དང༌། བྲན་གཡོག་ཏུ།", ["དང༌།", "བྲན་", "གཡོག་", "ཏུ།"]),
        ("እያንዳንዱ፡ሰው፡ነው።፡", ["እያንዳንዱ፡", "ሰው፡", "ነው።፡"]),
    ],
)
def test_characters_of_scripts_without_spaces_are_words(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


def test_four_letters_of_thai_and_the_like_make_a_word() -> None:
    texts = ["กขคงจ", "one กขคง two", "白日依山", "ကခဂဃ ကခဂဃ", ""]
    words = split([Document(text) for text in texts])
    assert words.number.tolist() == [1, 3, 4, 2, 0]
    assert words.syllables.tolist() == [0, 0, 4, 0, 0]


@given(st.lists(st.text("ab \n。山", max_size=12), max_size=6))
def test_documents_lines_and_paragraphs_begin_where_they_should(texts: list[str]) -> None:
    words = split([Document(text) for text in texts])
    first = [len(words_of(text)) for text in texts]
    assert (words.bounds[1:] - words.bounds[:-1]).tolist() == first
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    ends = words.ends[words.line_ends]
    joined = "\n".join(texts)
    starts = words.starts[words.line_starts]
    assert [joined[s:e] for s, e in zip(starts, ends, strict=True)] == list(map(str.strip, lines))


def test_equal_words_have_equal_hashes_and_different_words_different_ones() -> None:
    text = "to be or not to be that is the question ab ba aab aba 山 a b 1 2 tob e " * 3
    found = words_of(text)
    by_hash: dict[int, set[str]] = {}
    for word, value in zip(found, split([Document(text)]).each.tolist(), strict=True):
        by_hash.setdefault(value, set()).add(word)
    assert sorted(map(sorted, by_hash.values())) == sorted([word] for word in set(found))


def test_the_hash_of_a_word_does_not_depend_on_its_position() -> None:
    assert split([Document("x y"), Document("word")]).each[-1] == split([Document("word")]).each[0]


def test_a_long_document_is_looked_at_up_to_a_limit() -> None:
    words = split([Document("a " * LIMIT), Document("b")])
    assert words.bounds.tolist() == [0, (LIMIT + 1) // 2, (LIMIT + 1) // 2 + 1]


def test_of_several_filters_the_first_reason_counts() -> None:
    class Fixed(WordFilter):
        def __init__(self, *reasons: str | None) -> None:
            super().__init__(None)
            self.fixed = list(reasons)

        def reasons_by_words(self, words: Words) -> list[str | None]:
            return self.fixed

    documents: Sequence[Document] = [Document("a"), Document("b"), Document("c")]
    filters = WordFilters([Fixed(None, "first", None), Fixed("second", "second", None)])
    assert filters.reasons(documents) == ["second", "first", None]
