"""Other people's tokenizers against the libraries they are from."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
import tokenizers
import transformers
from hypothesis import given, settings
from hypothesis import strategies as some
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from dslm.errors import DataError
from dslm.tokenizers import hugging_face
from dslm.tokenizers.load import FILES, load_tokenizer
from dslm.tokenizers.probes import PROBES
from dslm.tokenizers.tokenizer import Tokenizer
from dslm.tokenizers.word_cache import WordCache

TEXT = [
    "The river falls over the stone, and the light of the river isn't dark.",
    "Under the stone: 3.14 rivers; 'over' and \"under\" — never — falls!",
    "über den Fluß, école, naïve; 短い 中文。 1,000 stones\n\n  and  two  spaces\tand tabs\r\n",
] * 20
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] river stone the ##s , . e a ##b 短 ecole fall 3\n"
HARD = [*PROBES, *TEXT[:3], "<|endoftext|> [MASK] </s>", "x" * 300, "a" + " " * 50 + "\n \n b"]


Ids = Callable[[str], list[int]]
"""The ids of a text by another library."""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text.encode())
    return path


def trained(normalizer: normalizers.Normalizer | None = None) -> tokenizers.Tokenizer:
    """A byte-level BPE with special tokens of its own."""
    model = tokenizers.Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    if normalizer:
        model.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|padding|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    model.train_from_iterator(TEXT, trainer)
    return model


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each kind, as other people lay out theirs."""
    home = tmp_path_factory.mktemp("third-party")
    model = trained()
    write(home / "hugging-face" / "tokenizer.json", model.to_str())
    pieces = json.loads(model.to_str())["model"]
    write(home / "gpt2" / "vocab.json", json.dumps(pieces["vocab"]))
    merges = "\n".join(" ".join(pair) for pair in pieces["merges"])
    write(home / "gpt2" / "merges.txt", f"#version: 0.2\n{merges}\n")
    write(home / "bert" / "vocab.txt", WORDS.replace(" ", "\n"))
    for kind in ("unigram", "bpe"):
        folder = home / f"sentencepiece-{kind}"
        folder.mkdir()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXT),
            model_prefix=str(folder / "own"),
            model_type=kind,
            vocab_size=65,
            minloglevel=2,
        )
        (folder / "own.vocab").unlink()
    return home


KINDS = ["hugging-face", "gpt2", "bert", "sentencepiece-unigram", "sentencepiece-bpe"]


@pytest.fixture(scope="module")
def ours(home: Path) -> dict[str, Tokenizer]:
    """All kinds, opened."""
    return {kind: load_tokenizer(home / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def theirs(home: Path) -> dict[str, Ids]:
    """The ids of a text by the libraries themselves."""
    hugging_face = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(home / "hugging-face" / "tokenizer.json")
    )
    merges = (home / "gpt2" / "merges.txt").read_text().splitlines()[1:]
    gpt2 = transformers.GPT2Tokenizer(
        vocab=json.loads((home / "gpt2" / "vocab.json").read_text()),
        merges=[tuple(merge.split()) for merge in merges],
    )
    words = (home / "bert" / "vocab.txt").read_text().split()
    bert = transformers.BertTokenizer(vocab={word: n for n, word in enumerate(words)})

    def by_transformers(model: transformers.PreTrainedTokenizerBase) -> Ids:
        return lambda text: (
            model(text, add_special_tokens=False, split_special_tokens=True).input_ids
        )

    def by_sentencepiece(kind: str) -> Ids:
        path = home / f"sentencepiece-{kind}" / "own.model"
        return sentencepiece.SentencePieceProcessor(model_file=str(path)).encode

    return {
        "hugging-face": by_transformers(hugging_face),
        "gpt2": by_transformers(gpt2),
        "bert": by_transformers(bert),
        "sentencepiece-unigram": by_sentencepiece("unigram"),
        "sentencepiece-bpe": by_sentencepiece("bpe"),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_ids_are_those_of_the_library_it_is_from(
    ours: dict[str, Tokenizer], theirs: dict[str, Ids], kind: str
) -> None:
    assert [row.tolist() for row in ours[kind].encode(HARD)] == [
        theirs[kind](text) for text in HARD
    ]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=50)
@given(text=some.text(alphabet="the river's, 3.é\u3000\u00a0\u0301\n\r\t_短😀"))
def test_the_ids_of_any_text_are_those_of_the_library(
    ours: dict[str, Tokenizer], theirs: dict[str, Ids], kind: str, text: str
) -> None:
    assert ours[kind].encode([text])[0].tolist() == theirs[kind](text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_ids_of_the_library(
    ours: dict[str, Tokenizer], theirs: dict[str, Ids], kind: str
) -> None:
    draw = random.Random(1)
    words = [word for text in HARD[-6:-3] for word in text.split(" ")]
    text = " ".join(draw.choices([*words, "\n", "", "  "], k=8000))
    assert len(list(ours[kind]._spans(text))) > 4
    assert ours[kind].encode([text])[0].tolist() == theirs[kind](text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_tokenizer_gives_the_same_ids_under_the_same_hash(
    ours: dict[str, Tokenizer], tmp_path: Path, kind: str
) -> None:
    first = ours[kind]
    first.save(tmp_path / "copy")
    again = load_tokenizer(tmp_path / "copy")
    assert again.card == first.card
    assert np.array_equal(again.encode_batch(HARD)[0], first.encode_batch(HARD)[0])
    again.save(tmp_path / "copy2")
    assert load_tokenizer(tmp_path / "copy2").sha256 == first.sha256


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_that_was_changed_is_refused(
    ours: dict[str, Tokenizer], tmp_path: Path, kind: str
) -> None:
    ours[kind].save(tmp_path)
    model = tmp_path / FILES[ours[kind].kind][-1]
    model.write_bytes(model.read_bytes() + b" ")
    with pytest.raises(DataError, match="its bytes have changed"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "hugging-face/tokenizer.json",
        "gpt2/vocab.json",
        "gpt2/merges.txt",
        "bert/vocab.txt",
        "sentencepiece-bpe/own.model",
    ],
)
def test_a_file_opens_like_its_folder(home: Path, name: str) -> None:
    assert load_tokenizer(home / name).card == load_tokenizer((home / name).parent).card


def test_our_card_and_what_lies_beside_it_open_like_their_folder(unigram: Path) -> None:
    for name in ("card.json", "tokenizer.json"):
        assert load_tokenizer(unigram / name).card == load_tokenizer(unigram).card


def test_files_of_gpt2_may_have_a_name_before_theirs(home: Path, tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / f"tiny-{name}").write_bytes((home / "gpt2" / name).read_bytes())
    assert load_tokenizer(tmp_path / "tiny-vocab.json").card == load_tokenizer(home / "gpt2").card


def test_special_ids_go_by_our_names(ours: dict[str, Tokenizer]) -> None:
    special = {kind: tokenizer.special for kind, tokenizer in ours.items()}
    assert special["hugging-face"] == {"pad": 0, "eos": 1}
    assert special["gpt2"] == {"eos": 1}
    assert special["bert"] == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4, "eos": 3}
    assert special["sentencepiece-bpe"] == {"unk": 0, "cls": 1, "eos": 2, "sep": 2}


def test_the_vocabulary_counts_added_tokens(tmp_path: Path) -> None:
    model = trained()
    model.add_special_tokens(["<mask>"])
    model.add_tokens(["river stone"])
    ours = load_tokenizer(write(tmp_path / "tokenizer.json", model.to_str()))
    assert ours.vocabulary == model.get_vocab_size() == ours.special["mask"] + 2
    assert ours.vocabulary - 1 in ours.encode(["the river stone"])[0]
    assert ours.decode([ours.special["mask"]]) == ""


@pytest.mark.parametrize("kind", ["hugging-face", "gpt2"])
def test_the_name_of_a_special_token_in_a_text_is_text(
    ours: dict[str, Tokenizer], kind: str
) -> None:
    ids = ours[kind].encode(["<|endoftext|><|padding|>"])[0]
    assert not {*ids.tolist()} & {*ours[kind].special.values()}
    assert ours[kind].decode(ids) == "<|endoftext|><|padding|>"


def test_padding_and_truncation_in_the_file_are_not_followed(tmp_path: Path) -> None:
    model = trained()
    model.enable_truncation(5)
    model.enable_padding(length=9)
    ours = load_tokenizer(write(tmp_path / "tokenizer.json", model.to_str()))
    assert ours.decode(ours.encode([TEXT[0]])[0]) == TEXT[0]


def test_dropout_in_the_file_is_not_followed(tmp_path: Path) -> None:
    model = trained()
    model.model.dropout = 0.5
    ours = load_tokenizer(write(tmp_path / "tokenizer.json", model.to_str()))
    first, *others = ours.encode(TEXT[:1] * 10)
    assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(ours._plain(TEXT[:1])[0], ours._plain(TEXT[:1])[0])


def test_a_folder_with_two_models_is_not_guessed_at(home: Path, tmp_path: Path) -> None:
    for name in ("a.model", "b.model"):
        (tmp_path / name).write_bytes((home / "sentencepiece-bpe" / "own.model").read_bytes())
    with pytest.raises(DataError, match="the folder is not a tokenizer"):
        load_tokenizer(tmp_path)


def test_bert_with_capital_letters_keeps_them(home: Path, tmp_path: Path) -> None:
    words = (home / "bert" / "vocab.txt").read_text()
    cased = load_tokenizer(write(tmp_path / "vocab.txt", words + "The\n"))
    assert cased.decode(cased.encode(["The river"])[0]) == "The river"
    uncased = load_tokenizer(home / "bert")
    assert uncased.decode(uncased.encode(["The river"])[0]) == "the river"


@given(text=some.text())
@pytest.mark.parametrize("kind", ["hugging-face", "gpt2"])
def test_byte_level_lengths_add_up_to_the_bytes_of_the_text(
    ours: dict[str, Tokenizer], kind: str, text: str
) -> None:
    ids = ours[kind].encode([text])[0]
    assert ours[kind].byte_lengths[ids].sum() == len(text.encode())
    assert ours[kind].decode(ids) == text


@pytest.mark.parametrize("kind", ["bert", "sentencepiece-unigram", "sentencepiece-bpe"])
def test_tokenizers_that_change_text_have_no_byte_lengths(
    ours: dict[str, Tokenizer], kind: str
) -> None:
    assert ours[kind].byte_lengths is None


@pytest.mark.parametrize("normalizer", [normalizers.NFC(), normalizers.Lowercase()])
def test_byte_levels_that_change_text_have_no_byte_lengths(
    tmp_path: Path, normalizer: normalizers.Normalizer
) -> None:
    path = write(tmp_path / "tokenizer.json", trained(normalizer).to_str())
    assert load_tokenizer(path).byte_lengths is None


def test_third_party_models_that_keep_text_keep_all_of_it(unigram: Path) -> None:
    theirs = load_tokenizer(unigram / "tokenizer.model")
    ours = load_tokenizer(unigram)
    assert (theirs.kind, theirs.sha256) == ("sentencepiece", ours.sha256)
    text = "the space mark ▁▁ itself"
    assert theirs.encode([text])[0].tolist() == ours.encode([text])[0].tolist()
    assert np.array_equal(theirs.byte_lengths, ours.byte_lengths)


@pytest.mark.parametrize("kind", ["hugging-face", "gpt2", "bert", "sentencepiece-bpe"])
def test_words_are_remembered_where_that_is_exact(
    home: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hugging_face, "fast_encoder", lambda *_: None)
    assert isinstance(load_tokenizer(home / kind)._words, WordCache)


def test_words_are_not_remembered_where_an_added_token_looks_around(tmp_path: Path) -> None:
    model = trained()
    model.add_tokens([tokenizers.AddedToken("river", lstrip=True, single_word=True)])
    ours = load_tokenizer(write(tmp_path / "tokenizer.json", model.to_str()))
    assert not isinstance(ours._words, WordCache)
    assert ours.byte_lengths is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("own.model", b""),
        ("own.model", b"no model"),
        ("tokenizer.json", b'{"model": {}}'),
        ("vocab.txt", b"river\nstone\n"),
        ("vocab.txt", b"\xff\xfe"),
    ],
)
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: is no .* tokenizer"):
        load_tokenizer(tmp_path / name)


def test_half_of_gpt2_names_what_is_missing(home: Path, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_bytes((home / "gpt2" / "vocab.json").read_bytes())
    with pytest.raises(DataError, match=r"merges\.txt: no such file"):
        load_tokenizer(tmp_path)


def test_json_of_another_kind_is_no_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("kind", ["bert", "sentencepiece-unigram", "sentencepiece-bpe"])
def test_each_token_of_a_text_has_its_place_in_it(ours: dict[str, Tokenizer], kind: str) -> None:
    text = " ".join(TEXT) * 8
    starts = ours[kind].token_spans(text)[:, 0]
    assert len(list(ours[kind]._spans(text))) > 4
    assert starts.size == ours[kind].encode([text])[0].size
    assert (np.diff(starts) >= 0).all()
    word = text.rindex("river")
    after = ours[kind].encode([text[word:]])[0]
    (place,) = np.flatnonzero(np.isin(starts, [word - 1, word]))[-1:]
    assert starts.size - place == after.size
