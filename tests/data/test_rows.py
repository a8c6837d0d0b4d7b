from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslm.data.document import Document
from dslm.data.rows import Rows, tokenize
from dslm.data.sentences import sentence_starts
from dslm.data.tokenizer import Tokenizer
from dslm.errors import DataError

TEXTS = [
    "The river falls. It never stops! Does it?",
    "石头在河里。光在上面。",
    "one",
    "Naïve café. Über alles “so it goes.” The end.\n\nA new paragraph.",
]


def documents(texts: list[str]) -> list[Document]:
    return [Document(text, number, 10 * number, "en") for number, text in enumerate(texts)]


@pytest.fixture(scope="session")
def lower(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A tokenizer of somebody else's that loses text: it makes capitals small."""
    from tokenizers import Tokenizer as Theirs
    from tokenizers import models, normalizers, pre_tokenizers

    words = ["[UNK]", "the", "river", "falls", ".", "it", "never", "stops", "!", "one"]
    theirs = Theirs(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="[UNK]"))
    theirs.normalizer = normalizers.Lowercase()
    theirs.pre_tokenizer = pre_tokenizers.Whitespace()
    path = tmp_path_factory.mktemp("lower") / "tokenizer.json"
    theirs.save(str(path))
    return Tokenizer.load(path)


@pytest.fixture(params=["unigram", "characters", "lower"])
def tokenizer(request: pytest.FixtureRequest, letters: Path) -> Tokenizer:
    """One whose ids are pieces, one whose ids are characters, one whose ids lose text."""
    if request.param == "lower":
        return request.getfixturevalue("lower")
    if request.param == "characters":
        return Tokenizer.load(letters)
    return Tokenizer.load(request.getfixturevalue("unigram"))


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of the characters of `TEXTS`."""
    from dslm.data.tokenizer_training import Training, train_tokenizer

    folder = tmp_path_factory.mktemp("letters")
    (folder / "text.txt").write_text("".join(TEXTS))
    train_tokenizer([folder / "text.txt"], folder / "tokenizer", Training("char", None))
    return folder / "tokenizer"


def test_each_document_is_its_ids_and_its_end(tokenizer: Tokenizer) -> None:
    rows = tokenize(documents(TEXTS), tokenizer)
    end = [] if tokenizer.end_of_document is None else [tokenizer.end_of_document]
    for number, text in enumerate(TEXTS):
        (ids,) = tokenizer.encode([text])
        first, last = rows.ends[number : number + 2]
        assert rows.tokens[first:last].tolist() == [*ids.tolist(), *end]
    assert rows.ends[-1] == rows.tokens.size


@pytest.mark.parametrize("kind", ["unigram", "letters"])
def test_sentences_of_a_document_are_its_text(kind: str, request: pytest.FixtureRequest) -> None:
    tokenizer = Tokenizer.load(request.getfixturevalue(kind))
    rows = tokenize(documents(TEXTS), tokenizer)
    for number, text in enumerate(TEXTS):
        first, last = rows.ends[number : number + 2]
        ids = rows.tokens[first:last]
        starts = rows.sentences[slice(*rows.sentence_ends[number : number + 2])].tolist()
        assert len(starts) == len(sentence_starts(text))
        parts = [ids[a:b].tolist() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        assert "".join(map(tokenizer.decode, parts)) == text
        if tokenizer.kind == "char":
            assert starts == sentence_starts(text)


def test_sentences_are_found_among_ids_that_lose_text(lower: Tokenizer) -> None:
    texts = ["The river falls. It never stops!", "One"]
    rows = tokenize(documents(texts), lower)
    assert rows.sentences.tolist() == [0, 4, 0]
    assert rows.sentence_ends.tolist() == [0, 2, 3]
    assert rows.tokens[rows.ends[1] :][0] == 9


def test_what_is_known_of_a_document_comes_with_it(letters: Path) -> None:
    rows = tokenize(documents(TEXTS), Tokenizer.load(letters))
    assert rows.inputs.tolist() == [0, 1, 2, 3]
    assert rows.places.tolist() == [0, 10, 20, 30]
    assert rows.languages == ["en"] * 4
    raw = [text.encode() for text in TEXTS]
    assert rows.text_bytes.tolist() == [len(text) for text in raw]
    assert rows.hashes == [hashlib.sha256(text).digest() for text in raw]


def facts(rows: Rows) -> dict[str, list[Any]]:
    return {name: list(getattr(rows, name)) for name in rows.__dataclass_fields__}


def test_many_documents_at_once_are_the_same_as_one_by_one(tokenizer: Tokenizer) -> None:
    together = tokenize(documents(TEXTS), tokenizer)
    for number, document in enumerate(documents(TEXTS)):
        alone = tokenize([document], tokenizer)
        assert facts(together.slice(number, number + 1)) == facts(alone)


@given(st.integers(0, 4), st.integers(0, 4))
def test_a_slice_of_a_slice_is_a_slice(one: int, two: int) -> None:
    start, stop = sorted((one, two))
    rows = SLICED
    assert len(rows.slice(start, stop)) == stop - start
    assert facts(rows.slice(0, stop).slice(start, stop)) == facts(rows.slice(start, stop))


SLICED = Rows(
    tokens=np.arange(10),
    ends=np.array([0, 3, 3, 7, 10]),
    sentences=np.array([0, 2, 0, 1, 0]),
    sentence_ends=np.array([0, 2, 2, 4, 5]),
    inputs=np.arange(4),
    places=np.arange(4),
    languages=list("abcd"),
    hashes=[b"a", b"b", b"c", b"d"],
    text_bytes=np.arange(4),
)


def test_a_character_that_the_tokenizer_does_not_know_is_an_error(characters: Path) -> None:
    with pytest.raises(DataError, match="短"):
        tokenize(documents(["the river", "短"]), Tokenizer.load(characters))
