"""Compiled blocks give the losses of plain ones, whatever is learned and however it is laid out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.compiling import cached, compiled_at, graphs, traced
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig

pytestmark = pytest.mark.ranks

ONE = (1, 0, 1, 16)
LAYOUTS = {
    "ZeRO-1": (2, 1, 1, 1),
    "ZeRO-2": (2, 2, 1, 8),
    "ZeRO-3": (2, 3, 1, 2),
    "pipeline": (2, 1, 2, 4),
}
"""Ranks, ZeRO stage, pipeline stages, and rows of a micro-batch."""
SHAPE = ["model.layers=3", "model.heads=2", "model.width=32", "model.sequence=32"]
RATE = ["lr=3e-4"]
"""At which the loss falls: where it explodes, so does the last bit of it."""
PACKED = ["data.packing=best_fit"]
USES: dict[str, tuple[list[str], str, int]] = {
    "documents": (["tiny", *PACKED, "data.document_borders=true"], "ZeRO-3", 1),
    "masked and next sentence": (["bert_tiny"], "pipeline", 1),
    "masked, recomputed": (["roberta_base", "model.recompute=true"], "ZeRO-3", 2),
    "spans": (["t5_style_small"], "ZeRO-2", 2),
    "two stacks": (["t5_small", "model.encoder_layers=2"], "ZeRO-3", 2),
    "autoencoder": (["autoencoder_small", "model.bottleneck_length=8"], "ZeRO-1", 1),
    "frozen, recomputed": (
        ["tiny", "frozen=embeddings,blocks.0", "model.recompute=true"],
        "ZeRO-3",
        2,
    ),
}
"""Settings, layout, and kinds of blocks that the first rank has."""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard set of documents of several sentences, with all special ids."""
    folder = tmp_path_factory.mktemp("documents")
    sentence = "There are {} of {}. So {} is {} times more."
    lines = [
        " ".join(sentence.format(n + k, n * k, n, k) for k in range(n % 5 + 1)) for n in range(200)
    ]
    (folder / "text.txt").write_text("\n".join(lines))
    files, reading = [folder / "text.txt"], ReadingConfig(documents="line")
    train_tokenizer(files, folder / "tokenizer", TokenizerConfig("bpe", 300))
    shard(files, folder / "set", ShardingConfig(folder / "tokenizer", reading=reading))
    return folder / "set"


def train(folder: Path, words: list[str], layout: tuple[int, ...], **options: Any) -> Ended:
    ranks, stage, pipeline, rows = layout
    config = deepspeed(stage, train_micro_batch_size_per_gpu=rows)
    more = ["log_interval=1", f"pipeline_stages={pipeline}", *SHAPE, *RATE]
    ended = launch(folder, [*words, *more], config, ranks, 600, **options)
    assert ended.code == 0, ended.messages
    return ended


@pytest.mark.parametrize("use", USES)
def test_every_objective_is_compiled_once_and_gives_its_losses(
    use: str, documents: Path, tmp_path: Path
) -> None:
    words, layout, kinds = USES[use]
    words = [*words, f"data.train={documents}", f"data.validation={documents}"]
    words += ["data.validation_windows=16", "steps=20", "evaluation_interval=10"]
    known = train(tmp_path / "plain", words, LAYOUTS[layout])
    folder = tmp_path / "compiled"
    prepare = partial(traced, folder=folder)
    ended = train(folder, [*words, "compile=true"], LAYOUTS[layout], prepare=prepare)
    assert ended.metrics() == pytest.approx(known.metrics(), abs=1e-5)
    validation = "validation_loss"
    assert ended.metrics(validation) == pytest.approx(known.metrics(validation), abs=1e-5)
    assert graphs(folder) == 2 * kinds  # to learn, and to measure
    assert compiled_at(ended) == [1]


def test_what_the_compiler_makes_gives_the_losses_and_is_told(
    documents: Path, tmp_path: Path
) -> None:
    words = ["tiny", "model.dropout=0.1", f"data.train={documents}", "steps=20"]
    known = train(tmp_path / "plain", words, ONE)
    assert compiled_at(known) == []
    prepare = partial(cached, folder=str(tmp_path / "cache"))
    # One rank makes what the others find: rows of a micro-batch, and so the graphs, are the same.
    for name, layout in {
        "one": (1, 0, 1, 2),
        "ZeRO-3": (2, 3, 1, 2),
        "stages": (2, 1, 2, 2),
    }.items():
        ended = train(tmp_path / name, [*words, "compile=true"], layout, prepare=prepare)
        assert ended.metrics() == pytest.approx(known.metrics(), abs=1e-5)
        # In the first step, and where a batch is measured before the checkpoint.
        assert ended.messages.count("compiling blocks: ") == 2
        assert "compile  each block by itself, in the first step and at" in ended.messages
        assert compiled_at(ended) == [1]
