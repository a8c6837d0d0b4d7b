"""Runs that begin with word vectors: the same rows and the same losses at every layout."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from helpers.models import build

from dslm.inference.trained import Trained, load
from dslm.model.embedding import embedding_deviation
from dslm.sampling.stream import Stream, WindowSpec
from dslm.sampling.windows import Windows
from dslm.shards.shard_set import ShardSet
from dslm.tokenizers.load import load_tokenizer
from dslm.tokenizers.vocabulary import piece_texts

pytestmark = pytest.mark.ranks

WIDTH = 30  # as `words` has it
LETTERS = "0123456789tim.s"
STILL = {"type": "AdamW", "params": {"lr": 1e-30, "weight_decay": 0.0, "torch_adam": True}}
"""With next to no rate a checkpoint holds the weights that the run began with."""

LAYOUTS = {
    "ZeRO-0 on one rank": (1, 0, 1),
    "ZeRO-1 on two ranks": (2, 1, 1),
    "ZeRO-2 on two ranks": (2, 2, 1),
    "ZeRO-3 on two ranks": (2, 3, 1),
    "pipeline of two": (2, 1, 2),
}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of all but some characters of the text, in word2vec's form."""
    path = tmp_path_factory.mktemp("vectors") / "v.txt"
    rows = np.random.default_rng(0).normal(1, 2, (len(LETTERS), WIDTH)).astype(np.float32)
    lines = [f"{c} {' '.join(map(repr, r.tolist()))}" for c, r in zip(LETTERS, rows, strict=True)]
    path.write_text("\n".join([f"{len(LETTERS)} {WIDTH}", *lines, ""]))
    return path


def expected(vectors: Path, shards: Path, trained: Trained) -> Iterator[tuple[str, np.ndarray]]:
    """The text of each id and the row it must begin with, worked out from the file alone."""
    table = {line.split()[0]: line.split()[1:] for line in vectors.read_text().splitlines()[1:]}
    texts = piece_texts(load_tokenizer(ShardSet.open(shards).tokenizer))
    cloud = np.array([table[text] for text in texts if text in table], dtype=np.float64)
    centre = cloud.mean(axis=0)
    scale = embedding_deviation(trained.config.model) / (cloud - centre).std()
    drawn = build(trained.config.model).layers["0"].embedding.weight
    for number, text in enumerate(texts):
        row = drawn[number].detach().numpy()
        if text in table:
            row = (np.array(table[text], dtype=np.float64) - centre) * scale
        yield text, row


def started(folder: Path, arguments: list[str], layout: str, **changes: Any) -> Ended:
    ranks, stage, pipeline = LAYOUTS[layout]
    arguments = [*arguments, f"pipeline_stages={pipeline}"]
    ended = launch(folder, arguments, deepspeed(stage, **changes), ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.mark.parametrize(
    ("layout", "tied"),
    [
        ("ZeRO-0 on one rank", True),
        ("ZeRO-1 on two ranks", True),
        ("ZeRO-2 on two ranks", False),
        ("ZeRO-3 on two ranks", True),
        ("ZeRO-3 on two ranks", False),
        ("pipeline of two", True),
        ("pipeline of two", False),
    ],
)
def test_a_run_begins_with_the_scaled_vectors_and_else_as_drawn_at_every_layout(
    layout: str, tied: bool, words: list[str], shards: Path, vectors: Path, tmp_path: Path
) -> None:
    arguments = [*words, f"word_vectors={vectors}", f"model.tied={str(tied).lower()}", "steps=1"]
    ended = started(tmp_path / "run", arguments, layout, optimizer=STILL)
    assert f"vectors  {vectors} · " in ended.messages
    trained = load(tmp_path / "run")
    weights, drawn = (m.state_dict() for m in (trained.model, build(trained.config.model)))
    embedding = weights.pop("layers.0.embedding.weight").numpy()
    rows = list(expected(vectors, shards, trained))
    assert 0 < sum(text in LETTERS for text, _ in rows) < len(rows)
    for row, (text, known) in zip(embedding, rows, strict=True):
        assert row == pytest.approx(known, rel=1e-6, abs=1e-8), text
    for name, weight in weights.items():
        if not (tied and name.endswith(".embedding.weight")):
            assert torch.allclose(weight, drawn[name], rtol=0, atol=1e-25), name
    assert ended.metrics() == pytest.approx([loss(trained, shards)], rel=1e-6)


def loss(trained: Trained, shards: Path) -> float:
    """What torch alone makes of the first batch."""
    windows = Windows(ShardSet.open(shards), WindowSpec(trained.config.model.sequence, 1))
    rows = torch.from_numpy(Stream([windows], None, trained.config.seed).rows(0, 16)).long()
    with torch.no_grad():
        scores = trained.model(rows[:, :-1])
    return torch.nn.functional.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten()).item()


def test_a_run_that_began_with_word_vectors_resumes_without_the_file(
    words: list[str], vectors: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "v.txt"
    copy.write_bytes(vectors.read_bytes())
    arguments = [
        *words,
        f"word_vectors={copy}",
        "schedule.warmup_steps=0",
        "schedule.kind=constant",
    ]
    straight = started(
        tmp_path / "straight", [*arguments, "steps=4"], "ZeRO-0 on one rank"
    ).metrics()
    started(tmp_path / "run", [*arguments, "steps=2"], "ZeRO-0 on one rank")
    copy.unlink()
    before = json.loads((tmp_path / "run/run.json").read_text())["word_vectors"]
    ended = started(tmp_path / "run", [*arguments, "steps=4"], "ZeRO-0 on one rank")
    assert "from step 2" in ended.messages
    assert ended.metrics() == straight
    assert json.loads((tmp_path / "run/run.json").read_text())["word_vectors"] == before
    assert before["words"] == len(LETTERS)


def test_a_wrong_line_is_reported_before_any_rank_trains(words: list[str], tmp_path: Path) -> None:
    lines = [f"{c} {' '.join(['1'] * WIDTH)}" for c in LETTERS] + ["x 1 2"]
    (tmp_path / "v.txt").write_text("\n".join(lines))
    arguments = [*words, f"word_vectors={tmp_path}/v.txt", "steps=1"]
    ended = launch(tmp_path / "run", arguments, deepspeed(0), 1)
    assert ended.code == 2
    assert (
        f"v.txt, line {len(lines)}: has 2 numbers behind its word instead of 30" in ended.messages
    )
    assert not (tmp_path / "run/run.json").exists()
