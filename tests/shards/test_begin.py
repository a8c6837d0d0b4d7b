"""Shards of a tokenizer that puts an id before every text, from text to rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.hub import byte_level
from helpers.shard_sets import sentences
from tokenizers import processors

from dslm.errors import DataError
from dslm.model.config import ModelConfig
from dslm.objectives.base import Context
from dslm.objectives.causal import Causal, CausalConfig
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.work.plan import ShardingConfig
from dslm.run.init_from import SourceRun, check_init_from
from dslm.sampling.augment import AugmentationConfig
from dslm.sampling.augmented import AugmentedStream
from dslm.sampling.pairs import PairRows, check_pairs
from dslm.sampling.stream import Samples, WindowSpec, check_sources
from dslm.sampling.windows import Windows
from dslm.shards.manifest import FILE
from dslm.shards.provenance import ProvenanceReader
from dslm.shards.shard_set import ShardSet
from dslm.shards.verify import verify
from dslm.tasks.registry import ObjectiveConfig
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.vocabulary import Vocabulary

BEGIN, END, CLS, PAD = 300, 301, 302, 303
TEXTS = [" ".join(map(str.capitalize, sentences(n, 60).splitlines())) for n in range(8)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer, a text of a document a line, and its shards."""
    home = tmp_path_factory.mktemp("begin")
    model = byte_level()
    model.add_special_tokens(["<s>", "</s>", "[CLS]", "[PAD]"])
    special = [("<s>", BEGIN)]
    model.post_processor = processors.TemplateProcessing(
        single=["<s>", "$A"], special_tokens=special
    )
    model.save(str(home / "tokenizer.json"))
    (home / "text.txt").write_text("\n".join(TEXTS))
    made(home, home / "shards")
    return home


def made(home: Path, output: Path) -> ShardSet:
    reading = ReadingConfig(documents="line")
    sharding = ShardingConfig(home / "tokenizer.json", reading=reading)
    return shard([home / "text.txt"], output, sharding)[0]


def of_before(home: Path, folder: Path) -> Path:
    """The same as an earlier version left it, which knew nothing of such an id."""
    shutil.copytree(home / "shards", folder)
    for path in (folder / FILE, folder / "tokenizer" / "card.json"):
        content = json.loads(path.read_text())
        assert content.pop("begin") == [BEGIN]
        path.write_text(json.dumps(content))
    return folder


def test_every_document_begins_with_it_and_its_text_does_not(home: Path) -> None:
    shards = ShardSet.open(home / "shards")
    assert shards.begin == (BEGIN,)
    assert verify(shards) == []
    tokenizer, reader = load_tokenizer(shards.tokenizer), ProvenanceReader(shards)
    for number, text in enumerate(TEXTS):
        first, last = shards.document(number)
        tokens = shards.windows(np.array([first]), last - first)[0].tolist()
        assert tokens == [BEGIN, *tokenizer.encode([text])[0].tolist(), END]
        assert shards.sentences_of(number)[0] == 1
        assert reader.text(number, tokenizer) == text


def test_shards_of_before_open_and_are_not_mixed_with_those_of_today(
    home: Path, tmp_path: Path
) -> None:
    today, before = ShardSet.open(home / "shards"), ShardSet.open(of_before(home, tmp_path / "old"))
    assert before.begin == load_tokenizer(before.tokenizer).begin == ()
    assert check_sources([today, today], None, 16) == []
    (problem,) = check_sources([today, before], None, 16)
    assert str(problem) == (
        f"{before.folder}: has no id before each document, but {today.folder} has [{BEGIN}] there; "
        f"shard it with --tokenizer {today.tokenizer}"
    )


def test_shards_of_before_are_not_taken_for_those_asked_for(home: Path, tmp_path: Path) -> None:
    assert made(home, home / "shards").begin == (BEGIN,)
    with pytest.raises(DataError, match="made from other text or with other settings"):
        made(home, of_before(home, tmp_path / "old"))


def test_a_manifest_that_denies_its_tokenizer_is_reported(home: Path, tmp_path: Path) -> None:
    folder = of_before(home, tmp_path / "old")
    shutil.copy(home / "shards" / "tokenizer" / "card.json", folder / "tokenizer")
    (problem,) = verify(ShardSet.open(folder))
    assert "is not the tokenizer that" in str(problem)


def test_pairs_are_made_of_text_alone(home: Path) -> None:
    shards = ShardSet.open(home / "shards")
    special = {"cls": CLS, "sep": END, "pad": PAD, "eos": END}
    rows = PairRows(shards, 48, "next_sentence", special, 0.1, 0)
    numbers = np.arange(64)
    found = rows.rows(numbers % len(rows), numbers)
    assert check_pairs(shards) == []
    assert BEGIN not in found
    assert (np.sum(found == END, axis=1) == 2).all()


def test_sentences_change_places_behind_it(home: Path) -> None:
    shards = ShardSet.open(home / "shards")
    settings = AugmentationConfig(shuffle_sentences=True)
    windows = Windows(shards, WindowSpec(shards.tokens - 1), 0)
    tokenizer = load_tokenizer(shards.tokenizer)
    stream = AugmentedStream([windows], None, 0, settings, tokenizer)
    row = stream.rows(0, 1)[0]
    plain = windows.rows(np.array([0]), np.array([0]))[0]
    assert np.array_equal(row == BEGIN, plain == BEGIN)
    assert np.array_equal(row == END, plain == END)
    assert not np.array_equal(row, plain)


def test_weights_go_on_only_with_texts_that_begin_as_theirs(home: Path) -> None:
    shards = ShardSet.open(home / "shards")
    shape = ModelConfig(layers=1, heads=2, width=8, sequence=8, vocabulary=304)
    same, other = (
        SourceRun("runs/a", home, shape, ObjectiveConfig(), shards.tokenizer_sha256, begin)
        for begin in (shards.begin, ())
    )
    assert check_init_from(same, shape, shards) == []
    (problem,) = check_init_from(other, shape, shards)
    assert f"has [{BEGIN}] before each document, but runs/a has no id there" in str(problem)
    assert problem.fix == "shard the text with --tokenizer runs/a/tokenizer"


@pytest.mark.parametrize(
    ("begin", "positions"),
    [(BEGIN, [0, 1, 2, 3, 0, 1, 2, 0]), (END, [0, 1, 2, 0, 0, 1, 0, 0])],
)
def test_documents_kept_apart_begin_with_it(begin: int, positions: list[int]) -> None:
    vocabulary = Vocabulary(304, {"eos": END, "pad": PAD}, Path(), (begin,))
    objective = Causal(CausalConfig(), Context(8, 0, True, vocabulary))
    row = np.array([[begin, 5, 6, END, begin, 7, END, begin, 8]])
    (_, _, places), _ = objective.batch(Samples(row, np.array([0]), np.array([0])))
    assert places[0].tolist() == positions
