"""Mistakes about objectives: told like all others, before torch is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dslm.commands.cli import run
from dslm.commands.pretrain import main
from dslm.model.config import ModelConfig
from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.run.settings import settings


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard set of documents with all special ids."""
    folder = tmp_path_factory.mktemp("documents")
    lines = [f"There are {n} of them. So there are {n} more. " * 9 for n in range(60)]
    (folder / "text.txt").write_text("\n".join(lines))
    files, reading = [folder / "text.txt"], ReadingConfig(documents="line")
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("bpe", 300))
    shard(files, folder / "set", ShardingConfig(folder / "tokenizer", reading=reading))
    return folder / "set"


@pytest.fixture
def reported(
    tmp_path: Path,
    deepspeed_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """What the command says to words; nothing is trained."""
    monkeypatch.setattr("dslm.train.pretrain.pretrain", lambda *_: None)

    def tell(*words: str) -> list[str]:
        file = ["--deepspeed_config", str(deepspeed_file)]
        code = run(main, [*words, f"run={tmp_path / 'run'}", *file])
        lines = capsys.readouterr().err.splitlines()
        assert code == (2 if lines else 0)
        return [line.removeprefix("error: ") for line in lines]

    return tell


def model(*words: str) -> ModelConfig:
    return settings([*words, "data.train=shards", "run=run"], None).model


def test_the_objective_decides_what_it_needs_of_the_model() -> None:
    assert model("tiny").attention == "causal"
    masked = model("tiny", "objective.kind=masked")
    assert (masked.attention, masked.segments, masked.pair_head) == ("full", 0, False)
    paired = model("tiny", "objective.kind=masked", "objective.masked.pairs=sentence_order")
    assert (paired.attention, paired.segments, paired.pair_head) == ("full", 2, True)


def test_another_objective_than_the_presets_brings_its_own_settings(
    documents: Path, reported: Any
) -> None:
    assert reported("bert_tiny", "objective.kind=causal", f"data.train={documents}") == []
    assert model("bert_tiny", "objective.kind=causal").attention == "causal"


def test_a_right_run_of_each_objective_is_begun(documents: Path, reported: Any) -> None:
    assert reported("bert_tiny", f"data.train={documents}") == []
    assert reported("roberta_base", f"data.train={documents}", "model.sequence=64") == []
    middle = "objective.causal.fill_in_middle=0.5"
    apart = "data.document_borders=true"
    assert reported("tiny", f"data.train={documents}", middle, apart) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "tiny objective.kind=maskd",
            "objective.kind = 'maskd': must be one of",
        ),
        (
            "tiny objective=masked",
            "objective = 'masked': must be a group of keys; write objective.kind=…",
        ),
        (
            "bert_tiny objective.masked.shar=0.2",
            "objective.masked.shar = 0.2: unknown key; did you mean 'objective.masked.share'?",
        ),
        (
            "tiny objective.masked.share=0.3",
            "objective.masked: is set, but objective.kind is causal; leave it out or set "
            "objective.kind=masked",
        ),
        (
            "bert_tiny model.attention=causal",
            "model.attention = 'causal': objective.kind = masked needs 'full'; leave it out",
        ),
        (
            "bert_tiny data.document_borders=true",
            "data.document_borders = True: means nothing for pairs, which are rows of their own; "
            "leave it out, or use objective.masked.pairs=none",
        ),
        (
            "bert_tiny data.packing=best_fit",
            "data.packing = 'best_fit': does not go with pairs of segments, which are rows of "
            "their own; leave it out",
        ),
    ],
)
def test_a_mistake_is_one_line(words: str, line: str, documents: Path, reported: Any) -> None:
    (found,) = reported(*words.split(), f"data.train={documents}")
    assert found.startswith(line)


def test_ids_of_the_objective_count_to_the_vocabulary(documents: Path, reported: Any) -> None:
    words = ["tiny", "objective.causal.fill_in_middle=0.5", "model.vocabulary=300"]
    (found,) = reported(*words, f"data.train={documents}")
    assert found == (
        "model.vocabulary = 300: is too small: the shards hold token ids up to 302, 3 of the "
        "objective's among them; use model.vocabulary=303 or more, or null"
    )


def test_pairs_need_a_tokenizer_with_their_special_ids(shard_set: Path, reported: Any) -> None:
    (found,) = reported("bert_tiny", f"data.train={shard_set}")
    assert found == (
        f"objective.kind: needs ids for cls and sep, which the tokenizer of {shard_set} "
        "lacks; shard the text with one that has them (ours of pieces, or BERT's), or leave it out"
    )


def test_a_middle_is_not_moved_between_documents_whose_ends_are_unknown(
    tmp_path: Path, shard_set: Path, reported: Any
) -> None:
    words = ["tiny", "objective.causal.fill_in_middle=0.5", "model.sequence=16"]
    assert reported(*words, f"data.train={shard_set}") == []
    text = (shard_set.parent / "text.txt").read_text()
    (tmp_path / "lines.txt").write_text(text[:400] + "\n" + text[400:800])
    plan = ShardingConfig(shard_set / "tokenizer", reading=ReadingConfig(documents="line"))
    shard([tmp_path / "lines.txt"], tmp_path / "lines", plan)
    (found,) = reported(*words, f"data.train={tmp_path / 'lines'}")
    assert "has documents without ends" in found


def test_a_single_document_makes_no_pairs(documents: Path, tmp_path: Path, reported: Any) -> None:
    (tmp_path / "one.txt").write_text("There are many of them. So there are more. " * 99)
    tokenizer = documents / "tokenizer"
    shard([tmp_path / "one.txt"], tmp_path / "one", ShardingConfig(tokenizer))
    (found,) = reported("bert_tiny", f"data.train={tmp_path / 'one'}")
    assert "needs two documents" in found
