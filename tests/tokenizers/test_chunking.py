from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from dslm.tokenizers.chunking import FAR, lines, safe_cuts


def letters(text: str) -> list[int]:
    """A tokenizer for which every cut is safe."""
    return list(map(ord, text))


def spaced(text: str) -> list[int]:
    """A tokenizer that puts a space before every text."""
    return letters(" " + text) if text else []


def words(text: str) -> list[int]:
    """A tokenizer with one id for each word."""
    return [hash(word) for word in text.split()]


def whole(text: str) -> list[int]:
    """A tokenizer without a safe cut."""
    return [hash(text)]


@given(text=some.text(alphabet="ab \n", max_size=60), size=some.integers(1, 20))
def test_lines_put_together_are_the_text(text: str, size: int) -> None:
    parts = [text[start:end] for start, end in lines(text, size)]
    assert "".join(parts) == text
    assert max(map(len, parts)) <= size


def test_lines_end_after_line_ends_or_before_spaces() -> None:
    assert list(lines("ab\ncd\nef", 7)) == [(0, 6), (6, 8)]
    assert list(lines("abc def ghi", 9)) == [(0, 7), (7, 11)]


@given(text=some.text(alphabet="ab \n", max_size=FAR * 4), size=some.integers(4, 20))
def test_safe_cuts_leave_the_ids_as_they_are(text: str, size: int) -> None:
    for ids in (letters, words):
        parts = [text[start:end] for start, end in safe_cuts(text, size, ids)]
        assert [token for part in parts for token in ids(part)] == ids(text)


def test_a_safe_cut_is_before_a_space_where_that_is_possible() -> None:
    assert list(safe_cuts("abc def ghi", 9, letters)) == [(0, 7), (7, 11)]


def test_a_space_that_the_tokenizer_puts_back_is_left_out() -> None:
    text = "abc def ghi"
    assert list(safe_cuts(text, 9, spaced)) == [(0, 7), (8, 11)]
    parts = [text[start:end] for start, end in safe_cuts(text, 9, spaced)]
    assert [token for part in parts for token in spaced(part)] == spaced(text)


def test_without_a_safe_cut_a_part_grows_and_ends_all_the_same() -> None:
    text = "a" * (FAR * 10 + 5)
    assert list(safe_cuts(text, 10, whole)) == [(0, FAR * 10), (FAR * 10, len(text))]
