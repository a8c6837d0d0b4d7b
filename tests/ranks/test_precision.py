"""8-bit floats follow bf16, and optimizer states at 16 bits go on to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.deepspeed_json import ADAMW, deepspeed
from helpers.launching import Ended, launch

pytestmark = pytest.mark.ranks

TEN = ["steps=10", "schedule.kind=constant", "schedule.warmup_steps=0"]
STEADY = {"type": "AdamW", "params": {**ADAMW, "lr": 2e-3}}
"""A rate at which ten steps from scratch are no leaps, so that small differences stay small."""
LAYOUTS = {"ZeRO-2": (2, 2, 1), "ZeRO-3": (2, 3, 1), "pipeline": (2, 1, 2)}
"""Ranks, ZeRO stage and pipeline stages."""
LEAN = {
    "bf16": {
        "enabled": True,
        "bf16_master_weights_and_grads": True,
        "bf16_optimizer_states": True,
    }
}


def train(folder: Path, words: list[str], layout: tuple[int, int, int], **config: Any) -> Ended:
    ranks, stage, pipeline = layout
    words = ["model.width=64" if word == "model.width=30" else word for word in words]
    words += [f"pipeline_stages={pipeline}"]
    ended = launch(folder, words, deepspeed(stage, optimizer=STEADY, **config), ranks)
    assert ended.code == 0, ended.messages
    return ended


@pytest.fixture(scope="module")
def bf16(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> list[float]:
    """The losses of ten steps at bf16."""
    folder = tmp_path_factory.mktemp("bf16")
    losses = train(folder / "run", [*words, *TEN, "precision=bf16"], (1, 1, 1)).metrics()
    assert losses[-1] < losses[0] - 0.2
    return losses


@pytest.mark.parametrize(("layout", "recipe"), [("ZeRO-3", "tensorwise"), ("pipeline", "rowwise")])
def test_float8_follows_bf16(
    layout: str, recipe: str, bf16: list[float], words: list[str], tmp_path: Path
) -> None:
    words = [*words, *TEN, "precision=fp8", "float8.narrowest=64", f"float8.recipe={recipe}"]
    ended = train(tmp_path / "run", words, LAYOUTS[layout])
    assert len(ended.metrics()) == 10
    assert ended.metrics() == pytest.approx(bf16, rel=0.02)
    assert ended.metrics() != bf16
    assert f"float8   {recipe}: 8 of 8 linear maps of the blocks" in ended.messages
    assert "emulated on a CPU" in ended.messages
    assert "· fp8" in ended.messages


def test_autocast_follows_bf16(bf16: list[float], words: list[str], tmp_path: Path) -> None:
    ended = train(tmp_path / "run", [*words, *TEN, "precision=bf16_autocast"], LAYOUTS["ZeRO-2"])
    assert ended.metrics() == pytest.approx(bf16, rel=0.02)
    assert "ZeRO-2 · bf16_autocast" in ended.messages


@pytest.mark.parametrize("layout", ["ZeRO-3", "pipeline"])
def test_states_at_16_bits_learn_and_go_on_to_the_last_bit(
    layout: str, bf16: list[float], words: list[str], tmp_path: Path
) -> None:
    words = [*words, *TEN, "checkpoint_interval=5"]
    whole = train(tmp_path / "whole", words, LAYOUTS[layout], **LEAN)
    assert whole.metrics() == pytest.approx(bf16, rel=0.02)
    assert "bytes    10 a parameter: weights 2, gradients 2, master 2, moments 4" in whole.messages
    for steps in (5, 10):
        words = [f"steps={steps}" if word.startswith("steps=") else word for word in words]
        part = train(tmp_path / "parts", words, LAYOUTS[layout], **LEAN)
    assert part.metrics() == whole.metrics()
