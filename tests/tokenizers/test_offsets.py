"""Where in a text each token comes from, proved on random texts for tokenizers of every kind."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as some
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from dslm.errors import DataError
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.offsets import visible_spans
from dslm.tokenizers.probes import PROBES, neighbours
from dslm.tokenizers.tokenizer import Tokenizer

LETTERS = "abcdehrstwxyzéüßñ中文短江河落石かなカ0123456789.,'’“”（）。，"
HARD = (
    "aAzÉéñü½ﬁｗİße\u0301\u0323 \n\t\u3000\u00a0中文，かカｶﾅ한😀🏽\u200d👧🇩🇪\x07\x00\u00ad▁Ġ.,’1234"
)
TEXTS = ["".join(LETTERS), " ".join(LETTERS), "the stream breaks the stones, 短い 江河。"] * 30
KEEPING = ["unigram", "bpe", "char", "byte-level"]
CHANGING = ["bert", "bert-cased", "sentencepiece-unigram", "sentencepiece-bpe", "metaspace", "nfc"]


def bert(*more: str) -> str:
    """Every letter as a word and as a part of one."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "stream", "the", *more]
    plain = sorted({*unicodedata.normalize("NFD", LETTERS)} - {*"\u0301\u0303\u0308"} | {*LETTERS})
    return "\n".join([*words, *plain, *(f"##{one}" for one in plain), "##the"])


def piece_model(folder: Path, kind: str) -> None:
    """NFKC, single spaces, bytes for what is unknown."""
    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_prefix=str(folder / "own"),
        model_type=kind,
        vocab_size=400,
        byte_fallback=kind == "bpe",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "own.vocab").unlink()


def byte_level(normalizer: normalizers.Normalizer | None) -> str:
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    if normalizer:
        model.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator(TEXTS, trainer)
    return model.to_str()


def metaspace() -> str:
    """As of XLM-R: NFKC, ▁ before every word, unigram."""
    model = tokenizers.Tokenizer(models.Unigram())
    model.normalizer = normalizers.NFKC()
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    model.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    model.train_from_iterator(TEXTS, trainer)
    return model.to_str()


@pytest.fixture(scope="module")
def every(
    trained_tokenizers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Tokenizer]:
    """A tokenizer of each kind."""
    home = tmp_path_factory.mktemp("offsets")
    written = {
        "bert/vocab.txt": bert(),
        "bert-cased/vocab.txt": bert("The", "A"),
        "byte-level/tokenizer.json": byte_level(None),
        "nfc/tokenizer.json": byte_level(normalizers.NFC()),
        "metaspace/tokenizer.json": metaspace(),
    }
    for name, content in written.items():
        (home / name).parent.mkdir()
        (home / name).write_text(content)
    for kind in ("unigram", "bpe"):
        piece_model(home / f"sentencepiece-{kind}", kind)
    theirs = {folder.name: load_tokenizer(folder) for folder in home.iterdir()}
    return {**{kind: load_tokenizer(path) for kind, path in trained_tokenizers.items()}, **theirs}


def known(tokenizer: Tokenizer, text: str) -> str:
    """A text without what the tokenizer refuses."""
    characters = tokenizer.card.characters
    return text if characters is None else "".join(c for c in text if c in characters)


@pytest.mark.parametrize("kind", [*KEEPING, *CHANGING])
@settings(max_examples=15)
@given(text=some.text(alphabet=HARD) | some.text())
@example(text="\n".join(neighbours()))
@example(text="\n".join(PROBES))
def test_spans_rise_within_the_text_and_show_what_is_seen(
    every: dict[str, Tokenizer], kind: str, text: str
) -> None:
    text = known(every[kind], text)
    spans = visible_spans(every[kind], text)
    assert spans.shape == (every[kind].encode([text])[0].size, 2)
    assert (np.diff(spans, axis=0) >= 0).all()
    covered = np.zeros(len(text), bool)
    for first, end in spans.tolist():
        assert 0 <= first <= end <= len(text)
        assert text[first:end] == text[first:end].strip()
        covered[first:end] = True
    left = {text[place] for place in np.flatnonzero(~covered)}
    if kind in KEEPING:
        assert all(letter.isspace() for letter in left)
    else:  # what BERT takes away, what is a space to SentencePiece, and marks without a letter
        assert {unicodedata.category(one)[0] for one in left - {*"\ufffd▁"}} <= {*"ZCM"}


@pytest.mark.parametrize("kind", KEEPING)
@settings(max_examples=15)
@given(text=some.text(alphabet=HARD) | some.text())
def test_tokens_from_one_border_to_another_are_the_text_between_them(
    every: dict[str, Tokenizer], kind: str, text: str
) -> None:
    text = known(every[kind], text)
    ids, spans = every[kind].encode([text])[0], visible_spans(every[kind], text)
    seen = spans[:, 0] < spans[:, 1]
    apart = spans[1:, 0] >= spans[:-1, 1]  # no character is shared by two tokens
    ends = np.flatnonzero(seen & np.append(apart, [True])[: len(ids)])
    for first in np.flatnonzero(seen & np.insert(apart, 0, True)[: len(ids)]).tolist():
        for last in ends[ends >= first].tolist():
            read = every[kind].decode(ids[first : last + 1].tolist())
            assert read.strip() == text[spans[first, 0] : spans[last, 1]]


WORDS = some.lists(
    some.text(alphabet="abcstreamthéü中短ñ19.,Aß", min_size=1, max_size=8), max_size=9
)


@pytest.mark.parametrize("kind", [*KEEPING[:2], "byte-level", *CHANGING])
@settings(max_examples=15)
@given(words=WORDS, spaces=some.sampled_from([" ", "  "]))
@example(words=["streams", "é", "e\u0301x", "½", "ﬁ", "😀🏽", "中文"] * 400, spaces=" ")
def test_the_tokens_of_a_word_are_those_of_the_word_alone(
    every: dict[str, Tokenizer], kind: str, words: list[str], spaces: str
) -> None:
    tokenizer, text = every[kind], f"b{spaces}" + spaces.join(words)
    ids, spans = tokenizer.encode([text])[0], visible_spans(tokenizer, text)
    seen = spans[:, 0] < spans[:, 1]
    ids, spans, end = ids[seen], spans[seen], 1
    for word in words:
        begin, end = end + len(spaces), end + len(spaces) + len(word)
        first, behind = np.searchsorted(spans[:, 0], [begin, end])
        space = " " if kind in (*KEEPING, "nfc") else ""
        alone = tokenizer.encode([space + word])[0][-(behind - first) :] if behind > first else []
        assert list(ids[first:behind]) == list(alone)
        assert spans[first:behind, 1].max(initial=end) <= end


@pytest.mark.parametrize("kind", ["bert", "sentencepiece-unigram", "sentencepiece-bpe"])
@settings(max_examples=30)
@given(text=some.text(alphabet=HARD))
def test_a_token_is_what_its_characters_are_normalized_to(
    every: dict[str, Tokenizer], kind: str, text: str
) -> None:
    tokenizer, model = every[kind], every[kind]._model
    for number, (first, end) in zip(
        tokenizer.encode([text])[0].tolist(), visible_spans(tokenizer, text).tolist(), strict=True
    ):
        if number == tokenizer.special["unk"] or first == end:
            continue
        if kind == "bert":
            assert model.normalizer.normalize_str(text[first:end]).strip() == model.id_to_token(
                number
            ).removeprefix("##")
        elif not model.is_byte(number):
            piece = model.id_to_piece(number).strip("▁")
            assert piece in model.normalize(text[first:end])


def test_marks_that_a_tokenizer_drops_go_with_their_letter(every: dict[str, Tokenizer]) -> None:
    text = "bare\u0301 bar"
    spans = visible_spans(every["bert"], text)
    assert {text[first:end] for first, end in spans.tolist()} >= {"e\u0301", "r"}


def test_a_tokenizer_that_loses_count_is_an_error(
    every: dict[str, Tokenizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = every["bert"]
    monkeypatch.setattr(tokenizer, "token_spans", lambda text: np.zeros((1, 2), np.int64))
    with pytest.raises(DataError, match="from which characters"):
        visible_spans(tokenizer, "the stream")
