"""The table of short words against a dictionary, which is its oracle."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.tokenizers import short_words
from dslm.tokenizers.short_words import LONGEST, PADDING, ShortWords

ALIKE = [b"a", b"a\0", b" another", b" another\0", b" another s", b" another\0s", b"\0", b"\0a"]
WORDS = some.lists(some.binary(max_size=LONGEST + 2) | some.sampled_from(ALIKE))


def laid(words: list[bytes]) -> tuple[bytes, np.ndarray]:
    """Words in a row as a text, and where each begins and the last one ends."""
    return b"".join(words) + bytes(PADDING), np.array([0, *accumulate(map(len, words))], np.int64)


def put(table: ShortWords, words: list[bytes]) -> None:
    text, starts = laid(words)
    table.add(text, starts[:-1], starts[1:], np.arange(len(words), dtype=np.int32))


@given(known=WORDS, asked=WORDS)
def test_a_word_is_found_if_it_was_put_in_and_is_short(
    known: list[bytes], asked: list[bytes]
) -> None:
    known = list(dict.fromkeys(word for word in known if word))
    table = ShortWords()
    put(table, known)
    numbers = {
        word: number
        for number, word in enumerate(known)
        if len(word) <= LONGEST and not word.endswith(b"\0")
    }
    everything = [*asked, *known]
    expected = [numbers.get(word, -1) for word in everything]
    assert table.find(*laid(everything)).tolist() == expected


@pytest.mark.parametrize("slots", [8, 64])
def test_what_finds_no_room_is_not_found_and_nothing_else_is_found_in_its_place(
    monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    monkeypatch.setattr(short_words, "SLOTS", slots)
    words = [f"word {number}".encode() for number in range(100)]
    table = ShortWords()
    put(table, words)
    numbers = table.find(*laid(words))
    assert 0 < (numbers >= 0).sum() <= slots
    assert all(number in (-1, place) for place, number in enumerate(numbers.tolist()))


def test_many_words_are_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_words, "BLOCK", 7)
    words = [str(number).encode() for number in range(100)]
    table = ShortWords()
    put(table, words)
    assert table.find(*laid(words)).tolist() == list(range(100))
