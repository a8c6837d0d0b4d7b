"""A layout changes how fast the loss falls, never the loss."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

DROPOUT = ["model.dropout=0.1", "steps=20"]
LAYOUTS = {
    "one rank": (1, 0, 1, 1),
    "one rank, ZeRO-1": (1, 1, 1, 1),
    "ZeRO-0": (2, 0, 1, 1),
    "ZeRO-1": (2, 1, 1, 1),
    "ZeRO-2": (2, 2, 1, 1),
    "ZeRO-3": (2, 3, 1, 1),
    "pipeline": (2, 1, 2, 1),
    "tensor, ZeRO-0": (2, 0, 1, 2),
    "tensor, ZeRO-2": (2, 2, 1, 2),
    "tensor, ZeRO-3": (4, 3, 1, 2),
    "tensor, pipeline": (4, 1, 2, 2),
}
"""Ranks, ZeRO stage, pipeline stages and ranks that share each layer."""
GROUPED = ["model.key_value_heads=2", "model.positions=rotary", "model.activation=swiglu"]
GROUPED += ["model.heads=4", "model.width=32", "model.norm=rms", "model.bias=false"]
GROUPED += ["model.tied=false", "steps=20"]
"""A model as Llama's, whose heads share keys and values."""


def train(folder: Path, layout: str, words: list[str], **changes: object) -> Ended:
    ranks, stage, pipeline, tensor = LAYOUTS[layout]
    config = deepspeed(stage, **changes)
    axes = [f"pipeline_stages={pipeline}", f"tensor_parallel={tensor}"]
    ended = launch(folder / layout.replace(" ", "-"), [*words, *axes], config, ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, words: list[str], shards: Path) -> Ended:
    words = [*words, f"data.validation={shards}", "steps=20"]
    return train(tmp_path_factory.mktemp("reference"), "one rank", words)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "one rank"])
def test_every_layout_gives_the_losses_of_one_rank(
    layout: str, reference: Ended, tmp_path: Path, words: list[str], shards: Path
) -> None:
    ended = train(tmp_path, layout, [*words, f"data.validation={shards}", "steps=20"])
    losses, known = ended.metrics(), reference.metrics()
    assert len(losses) == len(known) == 20
    assert losses[0] == pytest.approx(known[0], rel=1e-6)
    assert losses == pytest.approx(known, rel=1e-4)
    norms = ended.metrics("gradient_norm"), reference.metrics("gradient_norm")
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)
    validation = ended.metrics("validation_loss"), reference.metrics("validation_loss")
    assert validation[0] == pytest.approx(validation[1], rel=1e-4)


def test_heads_that_share_keys_and_values_are_cut_together(
    tmp_path: Path, words: list[str]
) -> None:
    others = ("model.heads=", "model.width=")
    words = [*(word for word in words if not word.startswith(others)), *GROUPED]
    known = train(tmp_path, "one rank", words).metrics()
    for layout in ("tensor, ZeRO-3", "tensor, pipeline"):
        losses = train(tmp_path, layout, words).metrics()
        assert losses[0] == pytest.approx(known[0], rel=1e-6), layout
        assert losses == pytest.approx(known, rel=1e-4), layout


def test_the_first_loss_is_that_of_guessing(reference: Ended) -> None:
    size = json.loads((reference.folder / "run.json").read_text())["config"]["model"]["vocabulary"]
    assert reference.metrics()[0] == pytest.approx(math.log(size), abs=0.1)


def test_the_model_learns(reference: Ended) -> None:
    losses = reference.metrics()
    assert losses[-1] < losses[0] - 0.3


@pytest.fixture(scope="module")
def dropped(tmp_path_factory: pytest.TempPathFactory, words: list[str], shards: Path) -> Ended:
    words = [*words, *DROPOUT, f"data.validation={shards}"]
    return train(tmp_path_factory.mktemp("dropped"), "one rank", words)


@pytest.mark.parametrize(
    ("layout", "recompute"),
    [
        ("one rank", True),
        ("ZeRO-1", False),
        ("ZeRO-2", "selective"),
        ("ZeRO-3", True),
        ("ZeRO-3", 2),
        ("pipeline", False),
        ("pipeline", "selective"),
        ("tensor, ZeRO-2", "selective"),
    ],
)
def test_what_is_dropped_is_the_same_at_every_layout(
    layout: str,
    recompute: bool | int | str,
    dropped: Ended,
    reference: Ended,
    tmp_path: Path,
    words: list[str],
    shards: Path,
) -> None:
    words = [
        *words,
        *DROPOUT,
        f"data.validation={shards}",
        f"model.recompute={json.dumps(recompute)}",
    ]
    # On the one rank in other micro-batches, too.
    micro = {"train_micro_batch_size_per_gpu": 8 if layout == "one rank" else 2}
    ended = train(tmp_path, layout, words, **micro)
    assert ended.metrics() == pytest.approx(dropped.metrics(), abs=1e-4)
    assert ended.metrics()[0] == pytest.approx(dropped.metrics()[0], rel=1e-6)
    validation = ended.metrics("validation_loss"), dropped.metrics("validation_loss")
    assert validation[0] == pytest.approx(validation[1], abs=1e-4)
    assert abs(ended.metrics()[-1] - reference.metrics()[-1]) > 1e-3
