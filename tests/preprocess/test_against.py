"""Duplicates of a finished shard set: they are left out of a new one, which holds what is new."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from dslm.errors import DataError
from dslm.preprocess.deduplicate.settings import Duplicates
from dslm.preprocess.shard import Execution, shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work import comparing
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

ALL = Duplicates(documents=True, near=True, paragraphs=True, paragraph_characters=40)
DRAW = random.Random(0)
WORDS = ["".join(DRAW.choices("abcdefghijklmnop", k=6)) for _ in range(900)]


def text(words: int = 80) -> str:
    return " ".join(DRAW.choices(WORDS, k=words))


OLD = [text() for _ in range(12)]
NEW = [text() for _ in range(5)]
QUOTE = f"{text(20)}\n\n{OLD[7]}\n\n{text(20)}"
CHANGED = [one.replace(one.split()[40], "changed", 1) for one in OLD[:4]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts, a tokenizer, and two shard sets of the old ones."""
    folder = tmp_path_factory.mktemp("against")
    files = {"a": OLD[:6], "b": [*OLD[6:], OLD[6]], "c": [*CHANGED, *OLD[8:], *NEW, NEW[0], QUOTE]}
    for name, texts in files.items():
        lines = "".join(json.dumps({"text": one}) + "\n" for one in texts)
        (folder / f"{name}.jsonl").write_text(lines)
    paths = [folder / f"{name}.jsonl" for name in files]
    train_tokenizer(paths, folder / "tokenizer", TokenizerConfig("char", None))
    for path in paths[:2]:
        shard([path], folder / path.stem, ShardingConfig(folder / "tokenizer", shard_size=1000))
    return folder


@pytest.fixture
def sharding(folder: Path) -> ShardingConfig:
    against = (folder / "a", folder / "b")
    return ShardingConfig(folder / "tokenizer", duplicates=ALL, against=against)


def texts(shards: ShardSet) -> list[str]:
    reader, tokenizer = ProvenanceReader(shards), load_tokenizer(shards.tokenizer)
    return [reader.text(number, tokenizer) for number in range(shards.documents)]


def test_only_what_is_new_is_written(
    folder: Path, tmp_path: Path, sharding: ShardingConfig
) -> None:
    shards, _ = shard([folder / "c.jsonl"], tmp_path / "c", sharding)
    assert texts(shards) == [*NEW, QUOTE.replace(f"{OLD[7]}\n\n", "")]
    assert shards.manifest.statistics.left_out == {
        "duplicate": 1,
        "duplicate of an existing set": 4,
        "near duplicate of an existing set": 4,
    }
    assert shards.manifest.settings["against"] == [
        ShardSet.open(one).fingerprint for one in sharding.against
    ]
    assert texts(ShardSet.open(folder / "b"))[-1] == OLD[6], "a known set stays as it is"


def test_without_it_a_set_says_nothing_of_it(folder: Path) -> None:
    assert "against" not in ShardingConfig(folder / "tokenizer").settings()


def test_an_interrupted_run_goes_on_against_the_same_sets_only(
    folder: Path, tmp_path: Path, sharding: ShardingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [folder / "c.jsonl"]
    whole, _ = shard(paths, tmp_path / "whole", sharding, Execution(workers=2))

    def no_decision(*_: object) -> None:
        raise DataError

    with monkeypatch.context() as patch:
        patch.setattr(comparing, "decide", no_decision)
        with pytest.raises(DataError):
            shard(paths, tmp_path / "c", sharding)
    with pytest.raises(DataError, match="unfinished work of another command: against was"):
        shard(paths, tmp_path / "c", replace(sharding, against=(folder / "a",)))
    with monkeypatch.context() as patch:
        patch.setattr(comparing.Sign, "__call__", no_decision)  # it is done
        resumed, made = shard(paths, tmp_path / "c", sharding)
    assert made
    assert resumed.fingerprint == whole.fingerprint
