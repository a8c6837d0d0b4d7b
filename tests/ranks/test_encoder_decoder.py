"""An encoder–decoder trains at every layout with the same losses, and restores texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.deepspeed_json import deepspeed
from helpers.launching import Ended, launch

from dslm.inference.complete import complete
from dslm.inference.sampling import SamplingConfig
from dslm.inference.trained import load

pytestmark = pytest.mark.ranks

STEPS = 20
LAYOUTS = {
    "ZeRO-1": (1, 1, 1),
    "ZeRO-2": (2, 1, 1),
    "ZeRO-3": (3, 1, 1),
    "pipeline": (1, 2, 1),
    "tensor": (1, 1, 2),
}
"""ZeRO stage, pipeline stages and ranks that share each layer, on two ranks."""
SHAPE = ["model.encoder_layers=1", "model.layers=3", "model.dropout=0.1", "model.recompute=true"]
"""The first pipeline stage has the encoder and a part of the decoder."""


def train(
    folder: Path, words: list[str], ranks: int, stage: int, pipeline: int, tensor: int
) -> Ended:
    others = [word for word in words[1:] if not word.startswith("model.layers=")]
    words = ["t5_small", *SHAPE, *others, f"steps={STEPS}", "log_interval=1"]
    words += [f"pipeline_stages={pipeline}", "schedule.warmup_steps=2", f"tensor_parallel={tensor}"]
    ended = launch(folder, words, deepspeed(stage), ranks)
    assert ended.code == 0, ended.messages
    return ended


def test_every_layout_gives_the_losses_of_one_rank(tmp_path: Path, words: list[str]) -> None:
    one = train(tmp_path / "one", words, 1, 0, 1, 1)
    known = one.metrics()
    assert len(known) == STEPS
    assert known[-1] < known[0] - 0.1
    for name, layout in LAYOUTS.items():
        losses = train(tmp_path / name, words, 2, *layout).metrics()
        assert losses[0] == pytest.approx(known[0], rel=1e-6), name
        assert losses == pytest.approx(known, rel=1e-4), name
    text = complete(load(one.folder), "3 <mask> 4", 20, SamplingConfig(temperature=0.0))
    assert text.startswith("3")
    assert text.endswith(" 4")
