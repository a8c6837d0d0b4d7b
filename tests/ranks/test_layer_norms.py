"""The norms of each layer are those of one rank in every layout, and add up to what is known."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch
from safetensors.torch import load_file

pytestmark = pytest.mark.ranks

STEPS = 3


def train(folder: Path, words: list[str], stage: int, ranks: int, *more: str) -> Ended:
    words = [*words, f"steps={STEPS}", "layer_norms_interval=1", *more]
    ended = launch(folder, words, deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    return ended


def norms(ended: Ended, kind: str) -> list[list[float]]:
    """Those of each layer at each step; layer 3 is the head, whose weights are the embedding's."""
    lines = (ended.folder / "metrics.jsonl").read_text().splitlines()
    found = [
        [value for key, value in json.loads(line).items() if key.startswith(f"{kind}_norm/")]
        for line in lines
    ]
    assert len(found) == STEPS
    return found


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Ended:
    folder = tmp_path_factory.mktemp("reference") / "run"
    return train(folder, words, 0, 1, f"checkpoint_interval={STEPS - 1}")


def test_gradients_of_all_layers_add_up_to_the_norm_before_clipping(reference: Ended) -> None:
    whole = [math.hypot(*layers) for layers in norms(reference, "gradient")]
    assert whole == pytest.approx(reference.metrics("gradient_norm"), rel=1e-5)
    assert min(whole) > 0.5, "clipping would not be noticed"


def test_weights_are_those_of_the_checkpoint_before_the_step(reference: Ended) -> None:
    folder = reference.folder / "checkpoints" / f"step-{STEPS - 1:08}"
    files = sorted(folder.glob("layer-????.safetensors"))
    layers = [math.hypot(*(float(w.norm()) for w in load_file(f).values())) for f in files]
    found = norms(reference, "weight")[-1]
    assert found == pytest.approx([layer for layer in layers if layer], rel=1e-5)


@pytest.mark.parametrize(
    ("stage", "ranks", "axis"),
    [
        (0, 2, "pipeline_stages=1"),
        (1, 2, "pipeline_stages=1"),
        (2, 2, "pipeline_stages=1"),
        (3, 2, "pipeline_stages=1"),
        (1, 2, "pipeline_stages=2"),
        (0, 2, "tensor_parallel=2"),
        (3, 4, "tensor_parallel=2"),
    ],
)
def test_every_layout_gives_the_norms_of_one_rank(
    stage: int, ranks: int, axis: str, reference: Ended, tmp_path: Path, words: list[str]
) -> None:
    ended = train(tmp_path / "run", words, stage, ranks, axis)
    for kind in ("gradient", "weight"):
        for found, known in zip(norms(ended, kind), norms(reference, kind), strict=True):
            assert found == pytest.approx(known, rel=1e-5)
