from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.preprocess.text.ngrams import all_hashes, fits, hashes, words

A_TEXT = st.text(st.sampled_from("aB1 \n.,'-中の한éÉ\u0301\u3000😀\0"), max_size=30)


def hashed(text: str) -> list[int]:
    found: list[int] = words([text]).hashes.tolist()
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
    ],
)
def test_case_punctuation_and_the_width_of_spaces_do_not_count(text: str, same: str) -> None:
    assert hashed(text) == hashed(same)


def test_different_words_have_different_hashes() -> None:
    texts = ["ab", "ba", "a", "b", "aa", "aab", "aba", "é", "e", "中", "国", "1", "11"]
    assert len({hashed(text)[0] for text in texts}) == len(texts)


@given(st.lists(A_TEXT, max_size=8))
def test_the_words_of_a_text_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    together = words(texts)
    for number, text in enumerate(texts):
        assert together.hashes[together.texts == number].tolist() == hashed(text)


def test_a_long_text_has_the_words_of_its_parts() -> None:
    part = "some words of a text, é\n"
    assert hashed(part * 20_000) == hashed(part) * 20_000


def test_hashes_of_runs_are_equal_where_the_words_are() -> None:
    split = words(["one two three one two four", "one two three"])
    for length in (1, 2, 3, 4, 5):
        found = all_hashes(split, length).tolist()
        runs = [tuple(split.hashes[i : i + length].tolist()) for i in range(len(found))]
        assert len(found) == 9 - length + 1
        assert len(set(found)) == len(set(runs)) == len(set(zip(found, runs, strict=True)))
        some = np.array([0, 3])
        assert hashes(split, some, length).tolist() == [found[0], found[3]]


def test_a_run_fits_only_into_one_text() -> None:
    split = words(["a b c", "d e"])
    assert fits(split, np.arange(5), 2).tolist() == [True, True, False, True, False]
    assert fits(split, np.arange(5), 3).tolist() == [True, False, False, False, False]
