from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.text.folded_words import PIECE, words_without_punctuation

A_TEXT = st.text(st.sampled_from("aB1 \n.,'-中の한éÉ\u0301\u3000😀\0"), max_size=30)


def hashed(text: str) -> list[int]:
    found: list[int] = words_without_punctuation([text]).values.tolist()
    return found


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Don't STOP", "dont stop"),
        ("well-known, fact.", "wellknown\n\nfact"),
        ("ÉTÉ Ärger", "été ärger"),
        ("你好，世界", "你 好 世 界"),
        ("GPT模型3个", "gpt 模 型 3 个"),
        ("😀 a 𠮷 b", "a b"),
        (" — … ", ""),
        ("ሰው፡ሁሉ፡ነው።", "ሰው ሁሉ ነው"),
        ("བྲན་གཡོག", "བྲན གཡོག"),
    ],
)
def test_case_punctuation_and_the_width_of_spaces_do_not_count(text: str, same: str) -> None:
    assert hashed(text) == hashed(same)


def test_different_words_have_different_hashes() -> None:
    texts = ["ab", "ba", "a", "b", "aa", "aab", "aba", "é", "e", "中", "国", "1", "11"]
    assert len({hashed(text)[0] for text in texts}) == len(texts)


@given(st.lists(A_TEXT, max_size=8))
def test_the_words_of_a_text_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = words_without_punctuation(texts)
    for number, text in enumerate(texts):
        assert together[number].tolist() == hashed(text)


def test_a_long_text_has_the_words_of_its_parts() -> None:
    part = "some words of a text, é\n"
    assert hashed(part * 20_000) == hashed(part) * 20_000


def test_a_long_word_at_the_end_of_a_piece_stays_whole() -> None:
    text = "a " * (PIECE // 2 - 2) + "unbroken end"
    assert hashed(text)[-2:] == hashed("unbroken end")
