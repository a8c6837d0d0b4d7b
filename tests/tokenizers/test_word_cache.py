"""The cache against the plain encoder, which is its oracle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.tokenizers import word_cache
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.probes import KINDS, neighbours
from dslm.tokenizers.tokenizer import Encoded, Tokenizer
from dslm.tokenizers.word_cache import WordCache, apart, cached

BETWEEN_WORDS = np.zeros((256, 256), dtype=bool)
BETWEEN_WORDS[0x21:0x7F, ord(" ")] = True


def rows(ids: list[list[int]]) -> Encoded:
    flat = [token for row in ids for token in row]
    return np.array(flat, np.uint16), np.cumsum([len(row) for row in ids], dtype=np.int64)


class Plain:
    """An encoder of code points that counts the texts it is asked for."""

    def __init__(self, secret: str = "") -> None:
        self.asked: list[str] = []
        self.secret = secret

    def __call__(self, parts: Sequence[str]) -> Encoded:
        self.asked += parts
        return rows([[ord(c) % 1000 for c in part] + [7] * self.found(part) for part in parts])

    def found(self, part: str) -> bool:
        """A rule across words, which a cache cannot know."""
        return bool(self.secret) and self.secret in part


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path]) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizers") / "bpe"
    return train_tokenizer(corpus, folder, TokenizerConfig("bpe", 320))[0]


def same(one: Encoded, other: Encoded) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@given(
    texts=some.lists(some.text(alphabet="the stoneriv,.\n\t▁é短😀\x00", max_size=40), max_size=5)
)
def test_bpe_through_the_cache_is_bpe(bpe: Tokenizer, texts: list[str]) -> None:
    assert isinstance(bpe._words, WordCache)
    assert same(bpe._words(texts), bpe._plain(texts))


@given(texts=some.lists(some.text(), max_size=5))
def test_bpe_through_the_cache_is_bpe_for_any_text(bpe: Tokenizer, texts: list[str]) -> None:
    assert same(bpe._words(texts), bpe._plain(texts))


@given(
    texts=some.lists(some.text(alphabet="the stoneriv,.\n\t▁é短😀\x00", max_size=40), max_size=5)
)
def test_unigram_by_words_is_unigram_on_texts_too_short_to_round(
    unigram: Path, texts: list[str]
) -> None:
    tokenizer = load_tokenizer(unigram)
    assert isinstance(tokenizer._words, WordCache)
    assert same(tokenizer.encode_batch(texts), tokenizer._plain(texts))


def test_unigram_cuts_a_word_alike_wherever_it_is(unigram: Path) -> None:
    tokenizer = load_tokenizer(unigram)
    alone = tokenizer.encode([" stoneriver"])[0]
    late = tokenizer.encode(["the dark river never falls" * 2000 + " stoneriver"])[0]
    assert np.array_equal(late[-alone.size :], alone)


def test_a_word_is_encoded_once() -> None:
    plain = Plain()
    cache = WordCache(plain, np.dtype(np.uint16), BETWEEN_WORDS, 0)
    ids, ends = cache(["one two one", "", " two two"])
    assert sorted(plain.asked) == [" one", " two", "one"]
    assert "".join(map(chr, ids)) == "one two one two two"
    assert ends.tolist() == [11, 11, 19]
    cache(["one two"])
    assert len(plain.asked) == 3


def test_a_space_that_comes_back_by_itself_is_left_out() -> None:
    plain = Plain()
    cache = WordCache(plain, np.dtype(np.uint16), BETWEEN_WORDS, 1)
    cache(["one two one", "", "two", "two "])
    assert sorted(plain.asked) == ["", "one", "two", "two "]


def test_borders_are_where_no_piece_runs_across() -> None:
    borders = apart(["ab", "é", " a", "b短"])
    pairs = [(a, b) for a in b"ab " for b in b"ab " if not borders[a, b]]
    assert pairs == [(ord("a"), ord("b")), (ord(" "), ord("a"))]
    assert not borders[:, 0x80:0xC0].any()
    assert not borders[ord("b"), "短".encode()[0]]
    assert borders["短".encode()[-1], ord("a")]


def test_an_encoder_that_looks_across_words_gets_no_cache() -> None:
    assert cached(Plain(), np.dtype(np.uint16), BETWEEN_WORDS)
    assert cached(Plain("3.14, or"), np.dtype(np.uint16), BETWEEN_WORDS) is None


@pytest.mark.parametrize("across", ["NASA。", "३" * 2, "\u2028\u00ad", "中7", "a <", "x1[MASK]"])
def test_a_rule_between_any_two_kinds_of_characters_is_found_at_once(across: str) -> None:
    everywhere = np.ones((256, 256), dtype=bool)
    everywhere[:, 0x80:0xC0] = False
    found = cached(Plain(across), np.dtype(np.uint16), everywhere)
    assert (found is None) == (across[0] != "३")


def test_a_text_has_the_same_ids_whatever_came_before_it() -> None:
    plain = Plain("two three")
    fresh, used = (cached(plain, np.dtype(np.uint16), BETWEEN_WORDS) for _ in range(2))
    texts = ["one two", "two three", "three"]
    used(["four five six", *texts])
    assert same(fresh(texts), used(texts))


def test_every_kind_of_characters_is_beside_every_other() -> None:
    assert len(set(KINDS)) == len(KINDS)
    joined = set(neighbours())
    pairs = {(one, other) for one in KINDS[::7] for other in KINDS}
    assert all(any(one + other in text for text in joined) for one, other in pairs)


def test_the_cache_starts_over_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_cache, "MOST_WORDS", 50)
    plain = Plain()
    cache = WordCache(plain, np.dtype(np.uint16), BETWEEN_WORDS, 0)
    for number in range(40):
        texts = [f"word {number} and {number + 1}", f"{number} more"]
        assert same(cache(texts), plain(texts))
        assert len(cache._table.numbers) <= 50 + 8
