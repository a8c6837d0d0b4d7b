"""What a model gives away: more of what it was shown more often, and from where."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.pages import Page
from helpers.shard_sets import write_set
from helpers.untrained import learned_run, untrained_run
from helpers.writing import write_one

from dslm.commands import inspect as command
from dslm.commands.cli import run
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load
from dslm.inspection import sequences
from dslm.inspection.memory import continued
from dslm.inspection.sequences import SequencesConfig, draw, occurrences
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.shards.shard_set import ShardSet

TIMES = (1, 10, 100)
FILLERS = 20
LENGTH = 61
SIZES = ["--prompt-tokens", "8", "--new-tokens", "4", "--sequences", "10000"]


def letters(draw_from: random.Random) -> str:
    return "".join(draw_from.choices("abcdefghijklmnop", k=LENGTH))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: Any) -> Path:
    """A shard set of random letters: three documents 1, 10 and 100 times, and others once."""
    folder, chance = tmp_path_factory.mktemp("planted"), random.Random(0)
    texts = [(f"planted-{times}", letters(chance), times) for times in TIMES]
    texts += [("filler", letters(chance), 1) for _ in range(FILLERS)]
    documents = [(name, text) for name, text, times in texts for _ in range(times)]
    chance.shuffle(documents)
    (folder / "text").mkdir()
    for number, (name, text) in enumerate(documents):
        (folder / "text" / f"{number:03d}-{name}.txt").write_text(text)
    files = sorted((folder / "text").iterdir())
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("char", None))
    shard(files, folder / "set", ShardingConfig(folder / "tokenizer"))
    return folder / "set"


@pytest.fixture(scope="module")
def learned(tmp_path_factory: Any, planted: Path, deepspeed_file: Path) -> Path:
    """A model that has read it some fifteen times."""
    words = ["model.width=64", "model.positions=rotary"]
    folder = tmp_path_factory.mktemp("runs") / "run"
    return learned_run(folder, planted, deepspeed_file, *words, steps=250, rate=3e-3)


@pytest.fixture
def write_shards(tmp_path: Path) -> Callable[[list[Any]], ShardSet]:
    """Makes a set of documents of given ids in two shards, in batches of a few tokens."""
    return lambda documents: write_set(tmp_path / "set", [documents[:2], documents[2:]], 20)


@pytest.fixture
def asked(learned: Path, planted: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """What the command says: ``asked(options …)``."""

    def ask(*more: str) -> str:
        words = ["memory", str(learned), "--data", str(planted), *SIZES, *more]
        assert run(command.main, words) == 0
        return capsys.readouterr().out

    return ask


def test_the_share_rises_with_how_often_a_document_was_planted(asked: Any) -> None:
    found = json.loads(asked("--json"))
    shares = found["by_occurrences"]
    assert list(shares) == ["1", "10 … 99", "100 … 999"]
    once, ten_times, always = shares.values()
    assert once["share"] < 0.05
    assert once["high"] < ten_times["low"]
    assert ten_times["high"] < always["low"]
    windows = LENGTH - 12 + 1
    assert [one["of"] for one in (once, ten_times, always)] == [21 * windows, windows, windows]
    assert found["all"]["found"] == len(found["sequences"])
    for one in found["sequences"]:
        places = {place["input"].split("-", 1)[1] for place in one["documents"]}
        if one["occurrences"] > 1:
            assert places == {f"planted-{one['occurrences']}.txt"}
        assert len(one["documents"]) == min(one["occurrences"], sequences.KEPT)
    most, often, *_ = found["documents"]
    assert most["input"].endswith("planted-100.txt"), "equal documents are named once"
    assert often["input"].endswith("planted-10.txt")
    assert most["memorized"] == shares["100 … 999"]["found"]


def test_the_screen_names_the_documents(asked: Any) -> None:
    shown = asked()
    assert "100 … 999" in shown
    assert "planted-100.txt at 0 · sha256 " in shown
    assert "planted-10.txt at 0 · sha256 " in shown
    assert shown == asked(), "the draws are a function of the seed"


def test_a_page_names_the_documents_and_the_texts(asked: Any, tmp_path: Path) -> None:
    page = tmp_path / "memory.html"
    assert asked("--html", str(page)).endswith(f"\n{page}\n")
    texts = Page(page).texts
    assert any("-planted-100.txt at 0 " in text for text in texts["th"])
    assert len(texts["summary"]) == len(texts["pre"]) > 50
    found = json.loads(asked("--json"))
    assert texts["pre"] == [one["text"] for one in found["sequences"]][:100]
    assert texts["td"][:2] == ["1,050", str(found["by_occurrences"]["1"]["found"])]


def test_one_reading_decides_what_greedy_decoding_writes(learned: Path, planted: Path) -> None:
    shards, trained = ShardSet.open(planted), load(learned)
    rows = draw(shards, SequencesConfig(8, 4, 60, seed=1))
    greedy, written = SamplingConfig(temperature=0), []
    for row in rows.tolist():
        shape, size = trained.config.model, trained.tokenizer.vocabulary
        found = write_one(trained.model, shape, row[:8], greedy, 4, vocabulary=size)
        written.append(found == row[8:])
    assert continued(trained, rows, 8).tolist() == written
    assert 0 < sum(written) < len(written)


def test_sequences_are_counted_exactly(
    monkeypatch: pytest.MonkeyPatch, write_shards: Callable[..., ShardSet]
) -> None:
    monkeypatch.setattr(sequences, "CHUNK", 17)
    monkeypatch.setattr(sequences, "COMPARED", 5)
    chance = np.random.default_rng(0)
    shards = write_shards([chance.integers(0, 3, size) for size in (40, 3, 90, 25)])
    rows = draw(shards, SequencesConfig(2, 2, 1000, seed=0))
    found, text = occurrences(shards, rows), shards.windows(np.array([0]), shards.tokens)[0]
    every = np.lib.stride_tricks.sliding_window_view(text, 4)
    for row, count, places in zip(rows, found.counts, found.places, strict=True):
        wanted = np.flatnonzero((every == row).all(1))
        assert count == wanted.size > 0
        assert places == wanted[: sequences.KEPT].tolist()


def test_sequences_stay_within_documents_and_depend_on_the_seed(
    write_shards: Callable[..., ShardSet],
) -> None:
    numbers = np.arange(200)
    shards = write_shards([numbers[:30], numbers[30:33], numbers[33:150], numbers[150:]])
    all_of_them = draw(shards, SequencesConfig(5, 5, 1000, seed=0))
    assert all_of_them[:, 0].tolist() == [*range(21), *range(33, 141), *range(150, 191)]
    some = [draw(shards, SequencesConfig(5, 5, 9, seed=seed)).tolist() for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]


@pytest.mark.parametrize(
    ("more", "words", "rules"),
    [
        (["objective.kind=masked"], [], ["does not continue a text (objective.kind = masked)"]),
        ([], ["--sequences", "0"], ["--sequences = 0: must be at least 1"]),
        (
            [],
            ["--prompt-tokens", "20", "--new-tokens", "20"],
            ["with --new-tokens 20 is more than the model's window of 24"],
        ),
        (["model.sequence=96"], ["--prompt-tokens", "48"], ["has no document of 96 tokens"]),
    ],
)
def test_what_cannot_be_measured_is_reported(
    more: list[str],
    words: list[str],
    rules: list[str],
    tmp_path: Path,
    planted: Path,
    deepspeed_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = untrained_run(tmp_path / "run", planted, deepspeed_file, *more)
    assert run(command.main, ["memory", str(folder), "--data", str(planted), *words]) == 2
    printed = capsys.readouterr().err
    for rule in rules:
        assert rule in printed
