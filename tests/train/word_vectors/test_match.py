"""Which word's vector an id of a tokenizer takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dslm.errors import DataError
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.vocabulary import piece_texts
from dslm.train.word_vectors.file import open_vectors
from dslm.train.word_vectors.match import match, words_for

Make = Callable[..., Path]


@pytest.fixture
def vectors(tmp_path: Path) -> Make:
    """Makes a file in which the n-th word has the vector (n, -n)."""

    def make(*words: str) -> Path:
        path = tmp_path / "v.txt"
        path.write_text("".join(f"{word} {n} -{n}\n" for n, word in enumerate(words)))
        return path

    return make


@pytest.fixture
def bert(tmp_path: Path) -> Tokenizer:
    """A WordPiece tokenizer, as its ``vocab.txt``."""
    words = ["[PAD]", "[UNK]", "[SEP]", "river", "##s", "Stone", "##ing", ",", "fall"]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    return load_tokenizer(tmp_path / "vocab.txt")


@pytest.fixture
def gpt2(tmp_path: Path) -> Tokenizer:
    """A byte-level BPE, as its two files."""
    from tokenizers import pre_tokenizers

    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "th", "he", "the", "Ġthe", "ng", "ing"]
    ids = {piece: number for number, piece in enumerate([*pieces, "<|endoftext|>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    (tmp_path / "merges.txt").write_text("t h\nh e\nth e\nĠ the\nn g\ni ng\n")
    return load_tokenizer(tmp_path / "vocab.json")


def matched(path: Path, tokenizer: Tokenizer) -> dict[str, int]:
    """The number of the word that each matched id took, by the text of the id."""
    texts, found = piece_texts(tokenizer), match(open_vectors(path), tokenizer)
    assert (found.rows[:, 0] == -found.rows[:, 1]).all()
    assert (np.diff(found.ids) > 0).all()
    pairs = zip(found.ids.tolist(), found.rows[:, 0].tolist(), strict=True)
    return {texts[number]: int(row) for number, row in pairs}


def test_a_word_is_looked_up_as_it_is_written_and_then_in_lower_case(
    bert: Tokenizer, vectors: Make
) -> None:
    assert matched(vectors("stone", "Stone", "river"), bert) == {" Stone": 1, " river": 2}
    assert matched(vectors("stone", "River"), bert) == {" Stone": 0}


def test_marks_of_pieces_are_no_part_of_a_word(
    bert: Tokenizer, gpt2: Tokenizer, vectors: Make
) -> None:
    assert matched(vectors("river", "s", ",", "ing"), bert) == {
        " river": 0,
        "s": 1,
        "ing": 3,
        **{text: 2 for text in piece_texts(bert) if text.strip() == ","},
    }
    assert matched(vectors("the", "ing", "th"), gpt2) == {"the": 0, " the": 0, "ing": 1, "th": 2}


def test_vectors_of_marked_pieces_go_to_those_pieces(
    bert: Tokenizer, gpt2: Tokenizer, vectors: Make
) -> None:
    assert matched(vectors("##s", "s", "▁river", "river"), bert) == {"s": 0, " river": 2}
    assert matched(vectors("Ġthe", "the"), gpt2) == {" the": 0, "the": 1}


def test_vectors_of_sentencepiece_go_to_the_pieces_that_begin_words(
    unigram: Path, vectors: Make
) -> None:
    tokenizer = load_tokenizer(unigram)
    begins = next(text for text in piece_texts(tokenizer) if text[:1] == " " and len(text) > 3)
    found = matched(vectors(f"▁{begins.strip()}", begins.strip()), tokenizer)
    assert found[begins] == 0


def test_special_ids_take_no_vector(bert: Tokenizer, vectors: Make) -> None:
    found = match(open_vectors(vectors("[PAD]", "[UNK]", "⁇", "river")), bert)
    assert found.ids.tolist() == [3]


def test_each_character_of_a_character_tokenizer_is_a_word(characters: Path, vectors: Make) -> None:
    assert matched(vectors("a", "T", "t"), load_tokenizer(characters)) == {"a": 0, "t": 2}


def test_vectors_without_any_piece_are_refused(bert: Tokenizer, vectors: Make) -> None:
    path = vectors("nirgends", "niemals")
    with pytest.raises(DataError) as caught:
        match(open_vectors(path), bert)
    assert str(caught.value) == (
        f"{path}: none of its 2 words is a piece of the tokenizer, such as 'river'; "
        "use vectors of the language of the text"
    )


@pytest.mark.parametrize("text", ["", " ", "\n", "\t ", "\ufffd", " \ufffdx"])
def test_white_space_and_parts_of_characters_are_no_words(text: str) -> None:
    assert words_for(text) == []


def test_words_for_a_piece_come_best_first() -> None:
    assert words_for(" The") == ["▁The", "ĠThe", "The", "▁the", "Ġthe", "the"]
    assert words_for("ing") == ["##ing", "ing"]
