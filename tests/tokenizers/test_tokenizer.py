from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dslm.errors import DataError
from dslm.preprocess.train_tokenizer import (
    LINE,
    SPECIAL,
    TokenizerConfig,
    _lines,
    _sample,
    train_tokenizer,
)
from dslm.shards.statistics import Statistics
from dslm.tokenizers import tokenizer as tokenizers
from dslm.tokenizers.chunking import CHUNK
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.tokenizer import Tokenizer, TokenizerCard, TokenizerKind

HARD = [
    "def f(x):\n\tif x:\n\t\treturn  x   # two  spaces \n\n\n",
    " leading and trailing  ",
    "windows\r\nline\rends\n",
    "中文，没有空格。日本語も",
    "emoji 😀🏽 👩‍👩‍👧 flags 🇩🇪",
    "decomposed e\u0301, ligature ﬁ, half ½, wide ｗｉｄｅ",
    "the space mark ▁▁ itself, its training marks ▅ and \x00",
    "<eos><pad><unk><0x41>\ufeff\u00a0\u2028\x85",
    "",
    " ",
    "\n",
]


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path]) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizers") / "bpe"
    return train_tokenizer(corpus, folder, TokenizerConfig("bpe", 300))[0]


@pytest.fixture(scope="module")
def opened(unigram: Path) -> Tokenizer:
    return load_tokenizer(unigram)


@pytest.mark.parametrize("text", HARD)
def test_unigram_gives_back_every_text(unigram: Path, text: str) -> None:
    tokenizer = load_tokenizer(unigram)
    assert tokenizer.decode(tokenizer.encode([text])[0]) == text


@pytest.mark.parametrize("text", HARD)
def test_bpe_gives_back_every_text(bpe: Tokenizer, text: str) -> None:
    assert bpe.decode(bpe.encode([text])[0]) == text


@given(text=some.text())
def test_unigram_gives_back_any_text(opened: Tokenizer, text: str) -> None:
    assert opened.decode(opened.encode([text])[0]) == text


def test_text_never_becomes_a_special_id(unigram: Path) -> None:
    tokenizer = load_tokenizer(unigram)
    ids = tokenizer.encode(["<unk> <eos> <pad> <cls> <sep> <mask> \ue000"])[0]
    assert not set(ids.tolist()) & set(tokenizer.special.values())


def test_special_ids_are_the_ones_of_the_model(unigram: Path) -> None:
    tokenizer = load_tokenizer(unigram)
    assert tokenizer.special == SPECIAL
    assert tokenizer.end_of_document == SPECIAL["eos"]
    pieces = [tokenizer._model.id_to_piece(token) for token in SPECIAL.values()]
    assert pieces == ["<unk>", "<eos>", "<pad>", "<cls>", "<sep>", "<mask>"]


def test_long_texts_are_encoded_as_their_lines(unigram: Path) -> None:
    tokenizer = load_tokenizer(unigram)
    lines = [f"the river {number} falls over the stone\n" for number in range(2000)]
    assert sum(map(len, lines)) > 5 * CHUNK
    whole = tokenizer.encode(["".join(lines)])[0]
    assert np.array_equal(whole, np.concatenate(tokenizer.encode(lines)))


def test_encoding_reports_the_bytes_it_has_done(
    unigram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizers, "GROUP", 2 * CHUNK)
    reported: list[int] = []
    text = "ä river\n" * 3000
    load_tokenizer(unigram).encode([text, text], reported.append)
    assert sum(reported) == 2 * len(text.encode())
    assert len(reported) == 3


def test_no_training_line_is_long_enough_for_sentencepiece_to_drop_it() -> None:
    lines = list(_lines("短" * 5000 + "\n\nshort"))
    assert max(len(line.encode()) for line in lines) < 4192
    assert "".join(lines) == "短" * 5000 + "short"
    assert len(lines) == -(-5000 // LINE) + 1


def test_characters_are_exactly_those_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("hällo wörld\t\r\n".encode())  # a reader of plain text makes CRLF a line feed
    tokenizer, made = train_tokenizer([path], tmp_path / "tok", TokenizerConfig("char", None))
    assert made
    assert tokenizer.vocabulary == len(set("hällo wörld\t\n"))
    assert tokenizer.end_of_document is None
    assert tokenizer.special == {}
    assert tokenizer.decode(range(tokenizer.vocabulary)) == "\t\n dhlorwäö"
    assert tokenizer.decode(tokenizer.encode(["world\t\n"])[0]) == "world\t\n"


def test_an_unknown_character_is_named(characters: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_tokenizer(characters).encode(["the river 短"])
    assert "character '短' (U+77ED): is not among the" in str(caught.value)


def test_character_tokenizers_read_everything_whatever_the_sample(
    tmp_path: Path, corpus: list[Path], characters: Path
) -> None:
    training = TokenizerConfig("char", None, sample_bytes=1)
    tokenizer, _ = train_tokenizer(corpus, tmp_path / "tok", training)
    assert tokenizer.sha256 == load_tokenizer(characters).sha256


def test_training_twice_gives_the_same_bytes(
    tmp_path: Path, corpus: list[Path], unigram: Path
) -> None:
    train_tokenizer(corpus, tmp_path / "again", TokenizerConfig("unigram", 300))
    for name in ("card.json", "tokenizer.json", "tokenizer.model"):
        assert (tmp_path / "again" / name).read_bytes() == (unigram / name).read_bytes()


def test_a_tokenizer_already_there_is_found(corpus: list[Path], unigram: Path) -> None:
    tokenizer, made = train_tokenizer(corpus, unigram, TokenizerConfig("unigram", 300))
    assert not made
    assert tokenizer.kind == "unigram"


@pytest.mark.parametrize("training", [TokenizerConfig("unigram", 301), TokenizerConfig("bpe", 300)])
def test_another_tokenizer_in_the_output_is_refused(
    corpus: list[Path], unigram: Path, training: TokenizerConfig
) -> None:
    with pytest.raises(DataError, match="other settings"):
        train_tokenizer(corpus, unigram, training)


def test_an_output_that_holds_something_else_is_refused(tmp_path: Path, corpus: list[Path]) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(DataError, match="holds something else"):
        train_tokenizer(corpus, tmp_path, TokenizerConfig("char", None))
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_vocabulary_too_large_or_small_names_one_that_fits(
    tmp_path: Path, corpus: list[Path], kind: TokenizerKind
) -> None:
    with pytest.raises(DataError, match=r"more than the text has pieces for; use at most \d+"):
        train_tokenizer(corpus, tmp_path / "tok", TokenizerConfig(kind, 90_000))
    with pytest.raises(DataError, match=r"too few for the bytes and characters .* \d+ or more"):
        train_tokenizer(corpus, tmp_path / "tok", TokenizerConfig(kind, 100))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "training", [TokenizerConfig("unigram", 300), TokenizerConfig("char", None)]
)
def test_text_without_content_is_one_clear_error(tmp_path: Path, training: TokenizerConfig) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="holds no text"):
        train_tokenizer([tmp_path / "a.txt"], tmp_path / "tok", training)


@pytest.mark.parametrize(
    "training", [TokenizerConfig("unigram", None), TokenizerConfig("char", 300)]
)
def test_only_pieces_take_a_vocabulary_size(
    tmp_path: Path, corpus: list[Path], training: TokenizerConfig
) -> None:
    with pytest.raises(DataError, match="--vocab-size"):
        train_tokenizer(corpus, tmp_path / "tok", training)


def test_a_sample_is_spread_over_all_files(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(f"file {number}, a line\n" * 200)
    paths = sorted(tmp_path.iterdir())
    texts = (path.read_text() for path in paths)
    lines = _sample(paths, texts, TokenizerConfig("unigram", 300, sample_bytes=8000))
    assert 7000 < sum(map(len, lines)) <= 8000
    counts = [sum(line.startswith(f"file {number}") for line in lines) for number in range(10)]
    assert max(counts) - min(counts) <= 1


def test_a_model_that_was_changed_is_refused(tmp_path: Path, unigram: Path) -> None:
    folder = shutil.copytree(unigram, tmp_path / "copy")
    with (folder / "tokenizer.model").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(DataError, match=r"tokenizer\.model: its bytes have changed"):
        load_tokenizer(folder)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(DataError, match=r"tokenizer\.model: no such file"):
        load_tokenizer(folder)


@pytest.mark.parametrize("card", ["{}", "[", '{"kind": "word"}'])
def test_a_broken_card_is_refused(tmp_path: Path, card: str) -> None:
    for name in ("tokenizer.json", "card.json"):
        (tmp_path / name).write_text(card)
        with pytest.raises(DataError, match=re.escape(name)):
            TokenizerCard.load(tmp_path)


def test_a_folder_without_a_card_is_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the folder is not a tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(DataError, match="no such tokenizer"):
        load_tokenizer(tmp_path / "nothing")


def test_large_vocabularies_need_wider_tokens(characters: Path) -> None:
    card = json.loads((characters / "card.json").read_text())
    text = "".join(map(chr, range(0x20000, 0x20000 + 70_000)))
    wide = load_tokenizer(characters).__class__(
        TokenizerCard(
            kind="char", vocabulary=70_000, special={}, sha256=card["sha256"], characters=text
        ),
        {},
    )
    assert wide.encode([text])[0].tolist() == list(range(70_000))


@pytest.mark.parametrize("kind", ["unigram", "characters"])
def test_a_batch_is_its_texts_one_after_the_other(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(request.getfixturevalue(kind))
    texts = ["the river", "", "stone\nof light " * 2000, "", "falls"]
    alone = [tokenizer.encode([text])[0] for text in texts]
    for size in (1, 20_000, 1 << 20):
        monkeypatch.setattr(tokenizers, "GROUP", size)
        ids, ends = tokenizer.encode_batch(texts)
        assert (ids.dtype, ends.dtype) == (np.uint16, np.int64)
        assert ends.tolist() == np.cumsum([len(row) for row in alone]).tolist()
        assert np.array_equal(ids, np.concatenate(alone))


def test_no_texts_have_no_ids(unigram: Path, characters: Path) -> None:
    for folder in (unigram, characters):
        ids, ends = load_tokenizer(folder).encode_batch([])
        assert ids.size == ends.size == 0
        assert load_tokenizer(folder).encode([]) == []


@pytest.mark.parametrize("kind", ["unigram", "characters"])
def test_a_saved_tokenizer_is_the_same_files(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind)
    load_tokenizer(folder).save(tmp_path / "copy")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()
    }


@given(text=some.text())
def test_the_byte_lengths_of_a_texts_ids_are_its_bytes(
    opened: Tokenizer, bpe: Tokenizer, text: str
) -> None:
    for tokenizer in (opened, bpe):
        assert tokenizer.byte_lengths.shape == (tokenizer.vocabulary,)
        for part in (text, f"▁{text} {text}", f"the river {text}\n"):
            ids = tokenizer.encode([part])[0]
            assert tokenizer.byte_lengths[ids].sum() == len(part.encode())


def test_the_byte_length_of_a_character_is_that_of_its_utf_8(tmp_path: Path) -> None:
    text = "az\x7f\x80\u07ff\u0800\uffff\U00010000\U0010ffff"
    (tmp_path / "a.txt").write_bytes(text.encode())
    tokenizer, _ = train_tokenizer(
        [tmp_path / "a.txt"], tmp_path / "tok", TokenizerConfig("char", None)
    )
    assert tokenizer.byte_lengths.tolist() == [len(character.encode()) for character in text]


def test_broken_records_pass_until_they_are_too_many(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "the river"}\n{"text": 3\n{"text": ""}\n')
    training, statistics = TokenizerConfig("char", None), Statistics()
    with pytest.raises(DataError, match=r"a\.jsonl: not JSON \(line 2.*\n.*1 records are broken"):
        train_tokenizer([path], tmp_path / "tok", training, max_bad=0)
    tokenizer, _ = train_tokenizer([path], tmp_path / "tok", training, statistics=statistics)
    assert tokenizer.vocabulary == len(set("the river"))
    assert (statistics.broken, statistics.left_out) == ({"not JSON": 1}, {"empty": 1})
    path.write_text("not JSON\n")
    with pytest.raises(DataError, match=r"a\.jsonl: not JSON \(line 1.*\n.*holds no text"):
        train_tokenizer([path], tmp_path / "none", training)
