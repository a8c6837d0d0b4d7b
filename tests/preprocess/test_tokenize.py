from __future__ import annotations

import hashlib
import itertools
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dslm.preprocess.tokenize as rows_of
from dslm.errors import DataError
from dslm.preprocess.document import Document
from dslm.preprocess.text.sentences import sentence_starts
from dslm.preprocess.tokenize import tokenize
from dslm.shards.rows import Rows
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer

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
    return load_tokenizer(path)


@pytest.fixture(params=["unigram", "characters", "lower"])
def tokenizer(request: pytest.FixtureRequest, letters: Path) -> Tokenizer:
    """One whose ids are pieces, one whose ids are characters, one whose ids lose text."""
    if request.param == "lower":
        return request.getfixturevalue("lower")
    if request.param == "characters":
        return load_tokenizer(letters)
    return load_tokenizer(request.getfixturevalue("unigram"))


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of the characters of `TEXTS`."""
    from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer

    folder = tmp_path_factory.mktemp("letters")
    (folder / "text.txt").write_text("".join(TEXTS))
    train_tokenizer([folder / "text.txt"], folder / "tokenizer", TokenizerConfig("char", None))
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
    tokenizer = load_tokenizer(request.getfixturevalue(kind))
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
    rows = tokenize(documents(TEXTS), load_tokenizer(letters))
    assert rows.inputs.tolist() == [0, 1, 2, 3]
    assert rows.offsets.tolist() == [0, 10, 20, 30]
    assert rows.languages == ["en"] * 4
    raw = [text.encode() for text in TEXTS]
    assert rows.text_bytes.tolist() == [len(text) for text in raw]
    assert rows.hashes == [hashlib.sha256(text).digest() for text in raw]


def facts(rows: Rows) -> dict[str, list[Any]]:
    assert rows.labels is None
    assert rows.label_ends is None
    kept = rows.__dataclass_fields__.keys() - {"labels", "label_ends", "references"}
    return {name: list(getattr(rows, name)) for name in kept}


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
    offsets=np.arange(4),
    languages=list("abcd"),
    hashes=[b"a", b"b", b"c", b"d"],
    text_bytes=np.arange(4),
)


def test_a_character_that_the_tokenizer_does_not_know_is_an_error(characters: Path) -> None:
    with pytest.raises(DataError, match="短"):
        tokenize(documents(["the river", "短"]), load_tokenizer(characters))


CHANGED = [
    "The river falls.  It never stops! Does it?\n\nÉcole ½ ﬁn. The end.",
    "石头在河里。光在上面！河里有光？没有。",
    "the river.\n\n\nThe stone.",
    " ",
    "one",
]


def metaspace(folder: Path) -> Path:
    """A tokenizer that puts ▁ before every text, and at every space."""
    from tokenizers import Tokenizer as Theirs
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    theirs = Theirs(models.Unigram())
    theirs.normalizer = normalizers.NFKC()
    theirs.pre_tokenizer = pre_tokenizers.Metaspace()
    theirs.decoder = decoders.Metaspace()
    theirs.train_from_iterator(CHANGED, trainers.UnigramTrainer(vocab_size=90, show_progress=False))
    theirs.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def sentencepiece(folder: Path) -> Path:
    """The same by the other library, with single spaces."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CHANGED * 9),
        model_prefix=str(folder / "own"),
        vocab_size=60,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    return folder / "own.model"


def wordpiece(folder: Path) -> Path:
    words = "[UNK] the river falls stone ##s . ! ? it never stop does one 石 头 光 河"
    (folder / "vocab.txt").write_text(words.replace(" ", "\n"))
    return folder / "vocab.txt"


@pytest.mark.parametrize("make", [metaspace, sentencepiece, wordpiece])
def test_ids_are_those_of_the_whole_text_where_a_tokenizer_changes_it(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    changing = load_tokenizer(make(tmp_path))
    assert changing.byte_lengths is None
    rows = tokenize(documents(CHANGED), changing)
    end = [] if changing.end_of_document is None else [changing.end_of_document]
    for number, text in enumerate(CHANGED):
        ids = changing.encode([text])[0].tolist()
        first, last = rows.ends[number : number + 2]
        assert rows.tokens[first:last].tolist() == [*ids, *end]
        starts = rows.sentences[slice(*rows.sentence_ends[number : number + 2])].tolist()
        assert len(starts) == len(sentence_starts(text))
        assert starts == sorted(starts)
        assert 0 <= starts[-1] <= len(ids)


@pytest.mark.parametrize("make", [metaspace, sentencepiece])
def test_sentences_are_found_where_a_tokenizer_puts_a_mark_before_a_text(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    changing = load_tokenizer(make(tmp_path))
    rows = tokenize(documents(CHANGED[1:2]), changing)
    ids = rows.tokens[: len(changing.encode(CHANGED[1:2])[0])]
    pairs = itertools.pairwise([*rows.sentences.tolist(), ids.size])
    parts = [changing.decode(ids[a:b]).strip() for a, b in pairs]
    assert parts == [
        unicodedata.normalize("NFKC", part) for part in re.findall(".*?[。！？]", CHANGED[1])
    ]


def test_the_starts_of_sentences_do_not_depend_on_how_many_tokens_are_looked_at_at_once(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = facts(tokenize(documents(TEXTS), tokenizer))
    for window in (1, 2, 3, 5, 7):
        monkeypatch.setattr(rows_of, "WINDOW", window)
        assert facts(tokenize(documents(TEXTS), tokenizer)) == whole


@pytest.mark.parametrize("make", [metaspace, sentencepiece, wordpiece])
def test_sentences_that_are_not_seen_again_begin_where_the_tokenizer_says(
    tmp_path: Path, make: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    changing = load_tokenizer(make(tmp_path))
    counted = facts(tokenize(documents(CHANGED), changing))
    monkeypatch.setattr(rows_of, "_seen_again", lambda *_: None)
    assert facts(tokenize(documents(CHANGED), changing)) == counted


def test_a_sentence_with_other_ids_inside_is_not_seen_again() -> None:
    ends = np.array([0, 3, 6])
    whole = np.array([1, 2, 3, 4, 5, 6], dtype=np.uint16)
    for alone, expected in (
        ([1, 2, 3, 4, 5, 6], [0, 3]),
        ([1, 2, 3, 9, 5, 6], [0, 3]),
        ([1, 2, 3, 4, 9, 6], None),
        ([1, 9, 3, 4, 5, 6], None),
    ):
        found = rows_of._seen_again(np.array(alone, dtype=np.uint16), ends, whole)
        assert (None if found is None else found.tolist()) == expected
    shorter = rows_of._seen_again(
        np.array([1, 2, 3, 9, 4, 5, 6], np.uint16), np.array([0, 3, 7]), whole
    )
    assert shorter is not None
    assert shorter.tolist() == [0, 3]


@pytest.mark.parametrize("begin", [(5,), (7, 5)])
def test_what_is_put_before_a_text_changes_nothing_else(
    tokenizer: Tokenizer, begin: tuple[int, ...]
) -> None:
    plain = tokenize(documents(TEXTS), tokenizer)
    tokenizer.begin = begin
    try:
        rows = tokenize(documents(TEXTS), tokenizer)
    finally:
        tokenizer.begin = ()
    texts = [plain.tokens[a:b] for a, b in itertools.pairwise(plain.ends)]
    begun = [np.array([*begin, *text]) for text in texts]
    assert np.array_equal(rows.tokens, np.concatenate(begun))
    assert np.array_equal(np.diff(rows.ends), [len(one) for one in begun])
    assert np.array_equal(rows.sentences, plain.sentences + len(begin))
    assert np.array_equal(rows.sentence_ends, plain.sentence_ends)
