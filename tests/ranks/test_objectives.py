"""Every objective gives the same losses at every layout."""

from __future__ import annotations

import json
import math
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.preprocess.read.reading import ReadingConfig
from dslm.preprocess.shard import shard
from dslm.preprocess.train_tokenizer import TokenizerConfig, train_tokenizer
from dslm.preprocess.work.plan import ShardingConfig
from dslm.quantization.config import SCHEMES

pytestmark = pytest.mark.ranks

ONE = (1, 0, 1, 1, 16)
LAYOUTS = {
    "ZeRO-1": (2, 1, 1, 1, 1),
    "ZeRO-2": (2, 2, 1, 1, 8),
    "ZeRO-3": (2, 3, 1, 1, 2),
    "pipeline": (2, 1, 2, 1, 4),
    "tensor": (2, 1, 1, 2, 8),
}
"""Ranks, ZeRO stage, pipeline stages, ranks that share each layer, and rows of a micro-batch:
batches of 16 cut in every way."""
SHAPE = ["model.layers=2", "model.heads=2", "model.width=32", "model.sequence=32"]
STACKS = ["model.encoder_layers=2", "objective.autoencoder.noise=0.2"]
OBJECTIVES: dict[str, list[str]] = {
    "masked and next sentence": ["bert_tiny"],
    "masked in packed rows": ["roberta_base"],
    "spans": ["t5_style_small"],
    "infilling in packed rows": [
        "tiny",
        "objective.kind=denoising",
        "objective.denoising.style=infilling",
        "data.packing=best_fit",
    ],
    "autoencoder": ["autoencoder_small", "model.bottleneck_length=8", "model.dropout=0.1"],
    "autoencoder of vectors in packed rows": [
        "autoencoder_small",
        "model.norm_position=post",
        "model.bottleneck_length=8",
        "model.decoder_layers=1",
        "objective.autoencoder.loss=squared_error",
        "objective.autoencoder.noise=0.2",
        "data.packing=best_fit",
    ],
}


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


ROUNDED = {
    "causal": (["tiny"], "w8a8"),
    "in the middle": (["tiny", "objective.causal.fill_in_middle=0.5"], "w4"),
    "autoencoder of two stacks in packed rows": (
        ["transformer_base", "objective.kind=autoencoder", *STACKS, "data.packing=best_fit"],
        "w8a8",
    ),
    **dict(zip(OBJECTIVES, zip(OBJECTIVES.values(), cycle(SCHEMES), strict=False), strict=False)),
}
"""Each objective with a scheme of rounding."""


def train(
    folder: Path, layout: tuple[int, ...], words: list[str], shards: Path, **changes: Any
) -> Ended:
    ranks, stage, pipeline, tensor, rows = layout
    if "objective.autoencoder.loss=squared_error" in words:
        rows = 2  # the variance that is explained is that within a micro-batch
    data = [f"data.train={shards}", f"data.validation={shards}", "data.validation_windows=40"]
    more = ["steps=10", "log_interval=1", "evaluation_interval=5"]
    more += [f"pipeline_stages={pipeline}", f"tensor_parallel={tensor}"]
    config = deepspeed(stage, train_micro_batch_size_per_gpu=rows, **changes)
    ended = launch(folder, [*words, *SHAPE, *data, *more], config, ranks)
    assert ended.code == 0, ended.messages
    return ended


def measures(ended: Ended) -> set[str]:
    """What a run has measured on held-out text, and the same of its steps."""
    lines = (ended.folder / "metrics.jsonl").read_text().splitlines()
    held_out = {key for line in lines for key in json.loads(line) if key.startswith("validation_")}
    assert len(held_out) > 1
    return held_out | {key.removeprefix("validation_") for key in held_out}


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_layout_gives_the_losses_and_measures_of_one_rank(
    objective: str, documents: Path, tmp_path: Path
) -> None:
    words = OBJECTIVES[objective]
    known = train(tmp_path / "one", ONE, words, documents)
    for name, layout in LAYOUTS.items():
        ended = train(tmp_path / name, layout, words, documents)
        losses = ended.metrics()
        assert losses[0] == pytest.approx(known.metrics()[0], rel=1e-6), name
        assert losses == pytest.approx(known.metrics(), rel=1e-4), name
        norms = ended.metrics("gradient_norm"), known.metrics("gradient_norm")
        assert norms[0][0] == pytest.approx(norms[1][0], rel=1e-5), name
        for key in measures(known):
            assert ended.metrics(key) == pytest.approx(known.metrics(key), rel=1e-3), name
    if not known.metrics("explained_variance"):  # those vectors are compared with move as well
        assert known.metrics()[-1] < known.metrics()[0] - 0.1


@pytest.mark.parametrize("objective", ROUNDED)
def test_every_objective_learns_rounded_at_16_bits(
    objective: str, documents: Path, tmp_path: Path
) -> None:
    words, scheme = ROUNDED[objective]
    more = ["precision=bf16", f"quantization.scheme={scheme}"]
    ended = train(tmp_path / "run", (1, 1, 1, 1, 8), [*words, *more], documents)
    losses = ended.metrics()
    assert len(losses) == 10
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    assert "ZeRO-1 · bf16" in ended.messages
