"""What lies in a tokenizer's folder: for `transformers`, for us, and in folders of old."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.hub import byte_level, text, word_pieces
from transformers import AutoTokenizer

from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.probes import neighbours
from dslm.tokenizers.tokenizer import MODEL, Tokenizer, TokenizerCard
from dslm.tokenizers.tokenizer_json import HARD

OURS = ["unigram", "bpe", "char"]
KINDS = [*OURS, "hugging-face", "gpt2", "bert"]


@pytest.fixture(scope="session")
def folders(
    trained_tokenizers: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A folder for each kind, as dslm writes it."""
    home = tmp_path_factory.mktemp("theirs")
    for kind in ("hugging-face", "gpt2", "bert"):
        (home / kind).mkdir()
    byte_level().save(str(home / "hugging-face" / "tokenizer.json"))
    byte_level().model.save(str(home / "gpt2"))
    word_pieces().model.save(str(home / "bert"))
    for kind in ("hugging-face", "gpt2", "bert"):
        load_tokenizer(home / kind).save(home / "saved" / kind)
    return {**trained_tokenizers, **{path.name: path for path in (home / "saved").iterdir()}}


def hard_texts(tokenizer: Tokenizer) -> list[str]:
    """Hard texts, of which a tokenizer of characters gets those that it knows."""
    texts = [*HARD, *neighbours(), *(text(seed, 80) for seed in range(20))]
    known = tokenizer.card.characters
    return texts if known is None else ["".join(c for c in t if c in known) for t in texts]


def older(folder: Path, target: Path) -> Path:
    """The same tokenizer as versions before `card.json` wrote it."""
    shutil.copytree(folder, target)
    if load_tokenizer(folder).kind == "hugging-face":
        (target / "tokenizer.json").rename(target / "hugging-face.json")
    (target / "card.json").rename(target / "tokenizer.json")
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_opens_every_folder_with_our_ids(kind: str, folders: dict[str, Path]) -> None:
    ours, theirs = load_tokenizer(folders[kind]), AutoTokenizer.from_pretrained(folders[kind])
    assert ours.kind == kind
    texts = hard_texts(ours)
    for sample, ids in zip(texts, ours.encode(texts), strict=True):
        found = theirs(sample, add_special_tokens=False, split_special_tokens=True).input_ids
        assert found == ids.tolist()


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_name_of_a_special_token_is_one_to_transformers_unless_split(
    kind: str, folders: dict[str, Path]
) -> None:
    ours, theirs = load_tokenizer(folders[kind]), AutoTokenizer.from_pretrained(folders[kind])
    ids = ours.encode(["river <eos>"])[0].tolist()
    assert theirs("river <eos>", split_special_tokens=True).input_ids == ids
    assert theirs("river <eos>").input_ids[-1] == ours.end_of_document


def test_transformers_opens_the_tokenizer_of_a_shard_set(shard_set: Path) -> None:
    folder = ShardSet.open(shard_set).tokenizer
    sample = "12 plus 12 is 24."
    ids = load_tokenizer(folder).encode([sample])[0].tolist()
    assert AutoTokenizer.from_pretrained(folder)(sample).input_ids == ids


def test_a_model_that_cannot_be_expressed_is_saved_without_tokenizer_json(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    load_tokenizer(folders["bpe"] / MODEL).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", MODEL]
    assert load_tokenizer(tmp_path).kind == "sentencepiece"


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_old_opens_under_the_same_hash_with_the_same_ids(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    ours, old = load_tokenizer(folders[kind]), older(folders[kind], tmp_path / "old")
    assert load_tokenizer(old).card == load_tokenizer(old / "tokenizer.json").card == ours.card
    assert TokenizerCard.load(old) == ours.card
    texts = hard_texts(ours)
    assert [row.tolist() for row in load_tokenizer(old).encode(texts)] == [
        row.tolist() for row in ours.encode(texts)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_saving_a_tokenizer_of_old_renews_it(
    kind: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    load_tokenizer(older(folders[kind], tmp_path / "old")).save(tmp_path / "new")
    new = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert new == {path.name: path.read_bytes() for path in folders[kind].iterdir()}


def test_training_finds_a_tokenizer_of_old(
    corpus: list[Path], unigram: Path, tmp_path: Path
) -> None:
    old = older(unigram, tmp_path / "old")
    assert not train_tokenizer(corpus, old, TokenizerConfig("unigram", 300))[1]


def test_the_card_decides_whatever_tokenizer_json_holds(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["bpe"], tmp_path / "copy")
    for content in ("{}", "no JSON", json.dumps({"sha256": ""})):
        (folder / "tokenizer.json").write_text(content)
        assert (
            load_tokenizer(folder).kind == load_tokenizer(folder / "tokenizer.json").kind == "bpe"
        )
    (folder / "tokenizer.json").unlink()
    assert load_tokenizer(folder).kind == "bpe"
