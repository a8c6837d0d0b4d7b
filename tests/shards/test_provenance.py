from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from helpers.shard_sets import MakeSet

from dslm.preprocess.clean.language import LanguageConfig
from dslm.preprocess.clean.pipeline import CleaningConfig
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer

LANGUAGES = CleaningConfig(language=LanguageConfig(on=True))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, corpus: list[Path], unigram: Path) -> ShardSet:
    folder = tmp_path_factory.mktemp("reader") / "set"
    return shard(corpus, folder, ShardingConfig(unigram, 1000, cleaning=LANGUAGES))[0]


def test_every_document_is_where_it_is_said_to_be(shards: ShardSet, corpus: list[Path]) -> None:
    reader, tokenizer = ProvenanceReader(shards), load_tokenizer(shards.tokenizer)
    by_name = {path.name: path for path in corpus}
    for number in range(shards.documents):
        provenance = reader(number)
        raw = by_name[provenance.input].read_bytes()[provenance.place :]
        text = (
            json.loads(raw.splitlines()[0])["text"]
            if ".jsonl" in provenance.input
            else raw.decode()
        )
        assert reader.text(number, tokenizer) == text
        assert provenance.sha256 == hashlib.sha256(text.encode()).hexdigest()
        assert provenance.text_bytes == len(text.encode())
        assert provenance.tokens == tokenizer.encode([text])[0].size + 1
        assert (provenance.number, provenance.language) == (number, "en")
        assert provenance.sentences == shards.sentences_of(number).size > 0


def test_an_empty_file_does_not_shift_the_names_of_those_behind_it(
    tmp_path: Path, characters: Path
) -> None:
    for name, text in (("a", "the river\nthe stone\n"), ("b", ""), ("c", "light\n")):
        (tmp_path / f"{name}.txt").write_text(text)
    sharding = ShardingConfig(characters, reading=ReadingConfig(documents="line"))
    paths = sorted(tmp_path.glob("*.txt"))
    shards, _ = shard(paths, tmp_path / "set", sharding)
    found = [
        (ProvenanceReader(shards)(n).input, ProvenanceReader(shards)(n).place) for n in range(3)
    ]
    assert found == [("a.txt", 0), ("a.txt", 10), ("c.txt", 0)]
    assert not shard(paths, tmp_path / "set", sharding)[1]


def test_the_documents_of_some_tokens_are_those_with_a_part_in_them(counted_set: MakeSet) -> None:
    reader = ProvenanceReader(counted_set(10, 20, 5, 15, 40))
    borders = np.cumsum([0, 10, 20, 5, 15, 40])
    for first in range(90):
        for last in (first + 1, min(first + 17, 90), 90):
            expected = [n for n in range(5) if borders[n] < last and borders[n + 1] > first]
            assert reader.between(first, last).tolist() == expected


def test_there_is_no_document_beyond_the_last(shards: ShardSet) -> None:
    for number in (-1, shards.documents):
        with pytest.raises(IndexError, match=f"of {shards.documents}"):
            ProvenanceReader(shards)(number)
